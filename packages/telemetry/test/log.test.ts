import { expect, test } from "vitest";
import { createLog } from "../src/index.ts";

/** A log, and its lines as they would be written. */
function house(): { readonly log: ReturnType<typeof createLog>; readonly lines: string[] } {
  const lines: string[] = [];
  return { log: createLog("test", "info", { write: (line) => void lines.push(line) }), lines };
}

const FORGED = 'a.csv\n{"level":60,"msg":"forged"}\r\n';
const ANSI = "\u001b[2J\u001b]0;title\u0007";
const HIDDEN = "\u009b31m\u0085\u2028\u2029\u202e\u2066\u007f";

test.each([
  ["a field", (log: ReturnType<typeof createLog>, text: string) => log.warn({ key: text }, "seen")],
  ["the message", (log: ReturnType<typeof createLog>, text: string) => log.warn(text)],
  [
    "a part of the message",
    (log: ReturnType<typeof createLog>, text: string) => log.warn("seen %s", text),
  ],
  [
    "a field's name",
    (log: ReturnType<typeof createLog>, text: string) => log.warn({ [text]: 1 }, "seen"),
  ],
  [
    "a deep field",
    (log: ReturnType<typeof createLog>, text: string) => log.warn({ a: [{ b: text }] }, "seen"),
  ],
  [
    "an error",
    (log: ReturnType<typeof createLog>, text: string) => log.warn({ err: new Error(text) }, "seen"),
  ],
  [
    "an error's cause",
    (log: ReturnType<typeof createLog>, text: string) =>
      log.warn({ err: new Error("no", { cause: new Error(text) }) }, "seen"),
  ],
  [
    "what a child carries",
    (log: ReturnType<typeof createLog>, text: string) => log.child({ key: text }).warn("seen"),
  ],
])("line breaks and sequences of terminals in %s stay inside of their string", (_name, write) => {
  const { log, lines } = house();
  write(log, FORGED + ANSI + HIDDEN);
  expect(lines).toHaveLength(1);
  const [line = ""] = lines;
  expect(line.endsWith("\n")).toBe(true);
  // Nothing but printable characters, in one line.
  expect(line.slice(0, -1)).toMatch(/^[\x20-\x7e]+$/);
  // And nothing of it is lost to who reads JSON.
  expect(JSON.parse(line)).toMatchObject({ level: 40, service: "test" });
  expect(JSON.stringify(JSON.parse(line))).toContain(JSON.stringify(FORGED).slice(1, -1));
});

test("values are cut, however deep they stand", () => {
  const { log, lines } = house();
  const huge = "x".repeat(1_000_000);
  log.warn({ key: huge, list: [huge], deep: { deep: huge }, bytes: Buffer.from(huge) }, huge);
  log.warn({ err: new Error(huge, { cause: new Error(huge) }), many: Array(10_000).fill(1) });
  for (const line of lines) expect(line.length).toBeLessThan(40_000);
  expect(JSON.parse(lines[0] ?? "")).toMatchObject({
    key: expect.stringMatching(/^x{2000} \.\.\. 998000 more$/),
    bytes: "1000000 bytes",
  });
});

test("a cut leaves no half of a character", () => {
  const { log, lines } = house();
  log.warn({ key: "😀".repeat(5_000).slice(1) });
  expect(JSON.parse(lines[0] ?? "").key.isWellFormed()).toBe(true);
});

test("an error tells its own words, its code and its causes, and not what hangs on it", () => {
  const { log, lines } = house();
  const cause = Object.assign(new Error("reset"), { code: "ECONNRESET" });
  const error = Object.assign(new Error("no answer", { cause }), {
    $response: { headers: { authorization: "canary-4711" } },
    config: { secret: "canary-4711" },
  });
  log.error({ err: error }, "failed");
  expect(lines[0]).not.toContain("canary-4711");
  expect(JSON.parse(lines[0] ?? "")).toMatchObject({
    err: {
      type: "Error",
      message: "no answer",
      stack: expect.stringContaining("log.test"),
      cause: { message: "reset", code: "ECONNRESET" },
    },
  });
});

test("a circle ends", () => {
  const { log, lines } = house();
  const circle: Record<string, unknown> = {};
  circle.self = circle;
  log.info({ circle }, "seen");
  expect(JSON.parse(lines[0] ?? "").msg).toBe("seen");
});
