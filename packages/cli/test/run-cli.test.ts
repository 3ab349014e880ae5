import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { toTable } from "../src/print/table.ts";
import { run } from "./terminal.ts";

const home = mkdtempSync(join(tmpdir(), "sluice-cli-"));
afterAll(() => rmSync(home, { recursive: true }));
/** Nobody listens there: port 9 is discard's. */
const NOBODY = "http://127.0.0.1:9";

describe("a wrong command line ends with 2 before anything is called", () => {
  it.each([
    [["nope"], "unknown command"],
    [["run"], "missing required argument"],
    [["run", "wf", "--nope"], "unknown option"],
    [["run", "cour_aaaaaaaaaaaaaaaaaaaa"], "exactly one field is required in oneof"],
    [["run", "cour_aaaaaaaaaaaaaaaaaaaa", "--date", "today"], "date: does not match"],
    [["call", "FeedService/Nope"], "there is no method"],
    [["call", "FeedService/GetFeed", "{"], "neither JSON nor YAML"],
    [["call", "FeedService/GetFeed", '{"nope": 1}'], "nope"],
    [["call", "FeedService/GetFeed", "{}"], "id: must be at least 1 characters"],
    [["feed", "create", "-f", "/nowhere.yaml"], "/nowhere.yaml"],
    [["feed", "list", "--url", "localhost"], "is not an address"],
    [["feed", "list", "--profile", "nope"], "there is no profile nope"],
    [["completion", "fish"], "bash or zsh"],
  ])("%j", async (args, said) => {
    const { code, err } = await run(args, { env: { SLUICE_URL: NOBODY, HOME: home } });
    expect(err).toContain(said);
    expect(code).toBe(2);
  });
});

it("a service that does not answer ends a command with 4, and the message names the address", async () => {
  const { code, err } = await run(["feed", "list", "--url", NOBODY], { env: { HOME: home } });
  expect(code).toBe(4);
  expect(err).toContain(`${NOBODY} does not answer`);
});

it("keeps profiles, and takes the address that was named most closely", async () => {
  const env = { XDG_CONFIG_HOME: home };
  const where = async (args: string[], more: Record<string, string> = {}): Promise<string> =>
    (await run(["feed", "list", ...args], { env: { ...env, ...more } })).err;

  await run(["profile", "set", "one", "http://127.0.0.1:1"], { env });
  await run(["profile", "set", "seven", "http://127.0.0.1:7"], { env });
  expect(await where([])).toContain("127.0.0.1:1 ");
  await run(["profile", "use", "seven"], { env });
  expect(await where([])).toContain("127.0.0.1:7 ");
  expect(await where([], { SLUICE_PROFILE: "one" })).toContain("127.0.0.1:1 ");
  expect(await where([], { SLUICE_PROFILE: "one", SLUICE_URL: NOBODY })).toContain("127.0.0.1:9 ");
  expect(await where(["--profile", "one"], { SLUICE_URL: NOBODY })).toContain("127.0.0.1:1 ");
  expect((await run(["profile", "list"], { env })).out).toMatch(/^\* +seven/m);
  expect(JSON.parse(readFileSync(join(home, "sluice", "config.json"), "utf8"))).toEqual({
    current: "seven",
    profiles: { one: { url: "http://127.0.0.1:1" }, seven: { url: "http://127.0.0.1:7" } },
  });

  writeFileSync(join(home, "broken.json"), "{");
  const broken = { SLUICE_CONFIG: join(home, "broken.json") };
  expect(await run(["feed", "list"], { env: broken })).toMatchObject({
    code: 2,
    err: expect.stringContaining("is not a profile file"),
  });
});

it("keeps control characters of files away from the terminal", () => {
  expect(toTable(["a"], [["\u001b[2J\u0007x\ny"]])).toBe("A\n\\u001b[2J\\u0007x⏎y\n");
});
