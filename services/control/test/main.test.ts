import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";
import { adminKeyIn, postJson } from "./testing/control-under-test.ts";

const MAIN = fileURLToPath(new URL("../src/main.ts", import.meta.url));
const dataDir = mkdtempSync(join(tmpdir(), "sluice-main-"));
afterAll(() => rmSync(dataDir, { recursive: true }));
const key = (): string => adminKeyIn(dataDir);

function run(environment: Readonly<Record<string, string>>): ChildProcess {
  return spawn(process.execPath, [MAIN], {
    env: { SLUICE_CONTROL_PORT: "0", SLUICE_DATA_DIR: dataDir, ...environment },
    stdio: ["pipe", "pipe", "pipe"],
  });
}

async function listening(child: ChildProcess): Promise<string> {
  if (child.stdout === null) {
    throw new Error("the child has no stdout");
  }
  const lines = createInterface({ input: child.stdout });
  const [line] = (await once(lines, "line")) as [string];
  const { event, url } = JSON.parse(line) as { event: string; url: string };
  expect(event).toBe("listening");
  return url;
}

test("it says where it listens, answers, and ends well at SIGTERM", async () => {
  const child = run({});
  const url = await listening(child);
  const { status } = await postJson(
    `${url}/sluice.control.v1.SourceService/ListPlugins`,
    {},
    key(),
  );
  expect(status).toBe(200);
  child.kill("SIGTERM");
  expect(await once(child, "exit")).toEqual([0, null]);
}, 60_000);

test("a second one on the same directory is kept out, by one line", async () => {
  const first = run({ SLUICE_EXIT_WITH_STDIN: "1" });
  await listening(first);
  const second = run({});
  const [said, [code]] = await Promise.all([
    second.stderr === null ? "" : text(second.stderr),
    once(second, "exit"),
  ]);
  expect(code).toBe(1);
  expect(said).toMatch(new RegExp(`^.*control\\.lock is held by process ${first.pid}\n$`));
  first.stdin?.end();
  expect(await once(first, "exit")).toEqual([0, null]);
}, 60_000);

test("killed, it leaves a directory that the next one can use", async () => {
  const first = run({});
  const url = await listening(first);
  const api = `${url}/sluice.control.v1.SourceService`;
  expect((await postJson(`${api}/CreateSource`, { source: { name: "kept" } }, key())).status).toBe(
    200,
  );
  first.kill("SIGKILL");
  await once(first, "exit");
  const second = run({});
  const again = await listening(second);
  const { body } = await postJson(
    `${again}/sluice.control.v1.SourceService/ListSources`,
    {},
    key(),
  );
  expect(body.sources).toMatchObject([{ name: "kept" }]);
  second.kill("SIGINT");
  expect(await once(second, "exit")).toEqual([0, null]);
}, 60_000);

test("a wrong setting is told in one line, and nothing is started", async () => {
  const child = run({ SLUICE_CONTROL_PORT: "many" });
  const [said, [code]] = await Promise.all([
    child.stderr === null ? "" : text(child.stderr),
    once(child, "exit"),
  ]);
  expect(code).toBe(1);
  expect(said).toBe('SLUICE_CONTROL_PORT: expected a whole number from 0 to 65535, got "many"\n');
}, 60_000);
