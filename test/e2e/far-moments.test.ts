import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type FeedSpec, type FileSettings, STRING, type Story, startStory } from "./story.ts";

const PARQUET: FileSettings = { format: { case: "parquet", value: {} } };
const DATETIME = { type: { case: "datetime", value: {} } } as const;
const FILES = new URL("../../packages/4-parse/test/parquet-files/", import.meta.url);

let story: Story;
beforeAll(async () => {
  story = await startStory();
});
afterAll(async () => await story[Symbol.asyncDispose]());

/** Loads a file of the parser's own corpus with the row's number as its key. */
async function load(file: string, fields: FeedSpec["fields"] = []): Promise<void> {
  await story.customer.put(file, readFileSync(new URL(`${file}.parquet`, FILES)));
  const feedId = await story.feed("moments", file.replaceAll("-", "_"), {
    fields: [
      { incomingName: "row", type: { type: { case: "integer", value: {} } }, lineage: 3 },
      ...fields,
    ],
    primaryKey: ["row"],
    errorThresholdPercent: 100,
  });
  const workflow = await story.run(await story.courier({ feedId, key: file, settings: PARQUET }));
  expect(workflow.failure).toBeUndefined();
}

/** What the file's author says is in it: a list of values for each row. */
function truth(file: string): readonly (readonly (string | null)[])[] {
  const lines = readFileSync(new URL(`${file}.jsonl`, FILES), "utf8")
    .trimEnd()
    .split("\n");
  return lines.map((line) => JSON.parse(line));
}

test("INT96 of the years 1 to 9999: exact as text and as a datetime", async () => {
  await load("int96-far-no-hint", [{ incomingName: "x", name: "text", type: STRING }]);
  // The author has microseconds, INT96 nanoseconds.
  expect(await story.rows("SELECT text FROM moments.int96_far_no_hint ORDER BY row")).toEqual(
    truth("int96-far-no-hint").map(([x]) => ({ text: x === null ? null : `${x}000` })),
  );
  await load("timestamp-int96-far", [{ incomingName: "x", type: DATETIME }]);
  expect(await story.rows("SELECT x FROM moments.timestamp_int96_far ORDER BY row")).toEqual([
    { x: "9999-12-31 00:00:00.000000" },
    { x: "0001-01-01 00:00:00.000000" },
    { x: null },
  ]);
});

test("timestamps of the years 1 to 9999 are exact as text", async () => {
  await load("timestamp-far", [
    { incomingName: "x", type: STRING },
    { incomingName: "m", type: STRING },
  ]);
  expect(await story.rows("SELECT x, m FROM moments.timestamp_far ORDER BY row")).toEqual(
    truth("timestamp-far").map(([x, m]) => ({ x, m })),
  );
});

test("INT96 inside of a struct is found by its path", async () => {
  await load("int96-nested", [{ incomingName: "t", path: "s.t", type: DATETIME }]);
  expect(await story.rows("SELECT t FROM moments.int96_nested ORDER BY row")).toEqual([
    { t: "2024-01-02 00:00:00.000000" },
    { t: null },
  ]);
});
