import { Writable } from "node:stream";
import { toBinary } from "@bufbuild/protobuf";
import { StageFailureSchema } from "@sluice/api/control/v1/failure_pb";
import { StageError } from "@sluice/errors";
import { pino } from "pino";
import { expect, test } from "vitest";
import { toStageFailure } from "../src/to-proto.ts";

/** Attack L1: what a key, an entry or a column is named makes no line of its own in a log, and no megabyte of one. */

const NAMES = [
  'in/a.csv\n{"level":60,"msg":"all is lost"}',
  "in/\r\nlevel=fatal",
  "in/\u001b[2J\u001b[31mred",
  "in/\u2028line",
  "in/\0nul",
  "in/\u0085next",
];

/** What the worker writes about an attempt that failed, as it writes it. */
function logged(error: StageError): string {
  let text = "";
  const sink = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      text += chunk.toString("utf8");
      done();
    },
  });
  const log = pino({ base: { service: "ingest" } }, sink).child({ task: "t" });
  log.warn({ err: error, stage: error.stage, code: error.code }, "attempt failed");
  return text;
}

test.each(NAMES)("%j is one line of JSON, and no terminal obeys it", (key) => {
  const text = logged(new StageError("parse", "malformed", `no header in ${key}`, { key }));
  expect(text.trimEnd().split("\n")).toHaveLength(1);
  const line = JSON.parse(text);
  expect(line).toMatchObject({ level: 40, msg: "attempt failed", task: "t" });
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the very characters that must not be there
  expect(text.trimEnd()).not.toMatch(/[\u0000-\u001f]/);
});

test("a megabyte of a name is cut, in the log and on the way to control", () => {
  const long = "x".repeat(1_000_000);
  const error = new StageError("cast", "schema_mismatch", `the column ${long} is absent`, {
    key: "a.csv",
    column: long,
    seen: long,
    expected: long,
  });
  // The message stands in the stack too.
  expect(logged(error).length).toBeLessThan(128 * 1024);
  const failure = toStageFailure(error.toFailure());
  expect(toBinary(StageFailureSchema, failure).byteLength).toBeLessThan(64 * 1024);
  expect(failure.message).toMatch(/^the column xxx.*x\u2026$/);
  // No half character at the cut.
  const { rawMessage } = new StageError("parse", "malformed", "\u{1d11e}".repeat(10_000));
  expect(rawMessage.isWellFormed()).toBe(true);
});
