import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { JsonSettings_Shape } from "@sluice/api/control/v1/file_settings_pb";
import { Workflow_State } from "@sluice/api/control/v1/workflow_pb";
import { parquetWriteBuffer } from "hyparquet-writer";
import { expect, test } from "vitest";
import { CSV, type FileSettings, PARQUET, STRING, startStory } from "./story.ts";

const MIB = 2 ** 20;
const BUDGET_MIB = 96;
const LINES: FileSettings = {
  format: { case: "json", value: { shape: JsonSettings_Shape.LINES } },
};

/** Rows of a long value each, so that windows, blocks and batches grow far beyond what most files need. */
const longRows = (rows: number, bytes: number, row: (i: number, value: string) => string): string =>
  Array.from({ length: rows }, (_, i) => row(i, String(i % 10).repeat(bytes))).join("");

/** What the worker said of its memory when it ended. */
function memoryBudget(logFile: string): { limitBytes: number; peakBytes: number } {
  const lines = readFileSync(logFile, "utf8").trimEnd().split("\n");
  for (const line of lines.reverse()) {
    const { memoryBudget } = JSON.parse(line) as { memoryBudget?: ReturnType<typeof JSON.parse> };
    if (memoryBudget !== undefined) return memoryBudget;
  }
  throw new Error("the worker's log does not tell of its memory");
}

test("all that a worker holds stays within SLUICE_MEMORY_BUDGET_MIB, and what cannot is refused by its name (SC-1)", async () => {
  await using story = await startStory({
    ingestEnvironment: { SLUICE_MEMORY_BUDGET_MIB: String(BUDGET_MIB), SLUICE_CAPACITY: "2" },
  });
  const spec = {
    fields: [
      { incomingName: "id", type: STRING },
      { incomingName: "x", type: STRING },
    ],
    primaryKey: ["id"],
  };
  const wide = Array.from({ length: 24 }, (_, i) => `${i}`.padEnd(MIB, "x"));
  const files: readonly (readonly [string, Uint8Array, FileSettings, number])[] = [
    ["long.csv", Buffer.from(`id,x\n${longRows(24, 2 * MIB, (i, x) => `${i},${x}\n`)}`), CSV, 24],
    [
      "long.json.gz",
      gzipSync(longRows(24, 2 * MIB, (i, x) => `{"id":"${i}","x":"${x}"}\n`)),
      LINES,
      24,
    ],
    [
      "small.csv",
      Buffer.from(`id,x\n${longRows(200_000, 20, (i, x) => `${i},${x}\n`)}`),
      CSV,
      200_000,
    ],
    [
      "decoded.parquet",
      // ClickHouse's reader refuses the BSON annotation: these are decoded here.
      new Uint8Array(
        parquetWriteBuffer({
          columnData: [
            { name: "id", data: wide.map((_, i) => `${i}`) },
            { name: "x", data: wide },
          ],
          schema: [
            { name: "root", num_children: 2 },
            { name: "id", type: "BYTE_ARRAY", converted_type: "UTF8", repetition_type: "REQUIRED" },
            { name: "x", type: "BYTE_ARRAY", converted_type: "BSON", repetition_type: "REQUIRED" },
          ],
          codec: "SNAPPY",
        }),
      ),
      PARQUET,
      24,
    ],
  ];
  const runs = files.map(async ([key, bytes, settings, rows]) => {
    await story.customer.put(key, bytes);
    const name = key.replaceAll(/\W/g, "_");
    const id = await story.courier({
      feedId: await story.feed("memory", name, spec),
      key,
      settings,
    });
    const workflow = await story.run(id);
    expect(workflow.failure).toBeUndefined();
    expect(workflow.state).toBe(Workflow_State.SUCCEEDED);
    expect(await story.rows(`SELECT count() AS n FROM memory.${name}`)).toEqual([{ n: rows }]);
  });
  await Promise.all(runs);

  // One record whose window and cell together are more than one task may hold.
  await story.customer.put("huge.json", Buffer.from(`{"id":"1","x":"${"x".repeat(15 * MIB)}"}\n`));
  const feedId = await story.feed("memory", "huge", {
    ...spec,
    fields: [
      ...spec.fields,
      ...Array.from({ length: 3 }, (_, i) => ({
        incomingName: "x",
        name: `x${i}`,
        path: "x",
        type: STRING,
      })),
    ],
  });
  const huge = await story.run(await story.courier({ feedId, key: "huge.json", settings: LINES }));
  expect(huge.state).toBe(Workflow_State.FAILED);
  expect(huge.failure).toMatchObject({
    code: "record_too_large",
    message: expect.stringContaining(`SLUICE_MEMORY_BUDGET_MIB = ${BUDGET_MIB}`),
  });

  const { logFile } = story.local.ingest;
  await story.local.ingest.stop();
  const { limitBytes, peakBytes } = memoryBudget(logFile);
  expect(limitBytes).toBe(BUDGET_MIB * MIB);
  expect(peakBytes).toBeLessThanOrEqual(limitBytes);
  // It was really used: two long loads at one time do not fit into the floors.
  expect(peakBytes).toBeGreaterThan((BUDGET_MIB / 2) * MIB);
});
