import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { SHORTCUTS } from "../src/commands/shortcuts.ts";
import { METHODS, methodName } from "../src/index.ts";
import { run } from "./terminal.ts";

const PROTO = new URL("../../../proto/sluice/control/v1/", import.meta.url);

/** Service/Method of every rpc, read from the .proto files themselves. */
const rpcs = readdirSync(PROTO)
  .map((file) => readFileSync(new URL(file, PROTO), "utf8"))
  .flatMap((text) =>
    [...text.matchAll(/^service (\w+) \{(.*?)^\}/gms)].flatMap(([, service, body = ""]) =>
      [...body.matchAll(/^ {2}rpc (\w+)\(/gm)].map(([, method]) => `${service}/${method}`),
    ),
  );

describe("every rpc of the .proto files", () => {
  it("is known", () => {
    expect(rpcs.length).toBeGreaterThan(30);
    expect(METHODS.map(methodName).toSorted()).toEqual(rpcs.toSorted());
  });

  it("has two words of its own", () => {
    const words = METHODS.map(({ noun, verb }) => `${noun} ${verb}`);
    expect(words.filter((word, index) => words.indexOf(word) !== index)).toEqual([]);
    for (const word of words) expect(word).toMatch(/^[a-z]+(-[a-z]+)* [a-z]+(-[a-z]+)*$/);
  });

  it.each(METHODS.map((method) => [methodName(method), method] as const))(
    "%s is a command with help, and completes for call",
    async (name, { noun, verb }) => {
      const help = await run([noun, verb, "--help"]);
      expect(help).toMatchObject({ code: 0, out: expect.stringContaining(`Calls ${name}`) });
      const completed = await run(["complete", "--", "call", name]);
      expect(completed.out.split("\n")).toContain(name);
    },
  );
});

it("every command of the main procedure has a method behind it", async () => {
  const missing = SHORTCUTS.filter(
    ({ method }) => !METHODS.some((one) => methodName(one) === method),
  );
  expect(missing.map(({ name }) => name)).toEqual([]);
});
