import { existsSync, readdirSync, readFileSync } from "node:fs";
import { StageError } from "@sluice/errors";
import fc from "fast-check";
import { parquetMetadata, parquetReadObjects } from "hyparquet";
import { parquetWriteBuffer } from "hyparquet-writer";
import { describe, expect, test } from "vitest";
import { openParquet } from "../src/parquet/open-parquet.ts";
import {
  BINARY,
  I64,
  readList,
  readStruct,
  STRUCT,
  toInteger,
  toStruct,
  toStructList,
  writeStruct,
} from "../src/parquet/thrift.ts";
import { openBytes, sliceBytes } from "./parquet-file.ts";

const ROWS = 2500;
const sample = new Uint8Array(
  parquetWriteBuffer({
    columnData: [
      {
        name: "id",
        data: Array.from({ length: ROWS }, (_, i) => i),
        type: "INT32",
        nullable: false,
      },
      {
        name: "name",
        data: Array.from({ length: ROWS }, (_, i) => `user ${i % 17}`),
        type: "STRING",
      },
    ],
    rowGroupSize: 1000,
    kvMetadata: [{ key: "written by", value: "a test" }],
  }),
);

const readAll = async (bytes: Uint8Array): Promise<Record<string, unknown>[]> =>
  await parquetReadObjects({ file: Uint8Array.from(bytes).buffer });

/** The sample with its footer's fields changed. */
function changed(
  change: (fields: Map<number, { type: number; bytes: Uint8Array }>) => void,
): Buffer {
  const length = Buffer.from(sample).readUInt32LE(sample.length - 8);
  const start = sample.length - 8 - length;
  const fields = new Map(readStruct(sample.subarray(start, -8)));
  change(fields);
  const footer = writeStruct(fields);
  const end = Buffer.alloc(4);
  end.writeUInt32LE(footer.length);
  return Buffer.concat([sample.subarray(0, start), footer, end, Buffer.from("PAR1")]);
}

/** The sample with the fields of one column chunk of its first row group changed. */
function changedChunk(
  column: number,
  change: (fields: Map<number, { type: number; bytes: Uint8Array }>) => void,
): Buffer {
  return changed((file) => {
    const groups = readList(file.get(4) ?? { type: 0, bytes: sample }, STRUCT);
    const group = new Map(readStruct(groups[0] ?? sample));
    const chunks = readList(group.get(1) ?? { type: 0, bytes: sample }, STRUCT);
    const chunk = new Map(readStruct(chunks[column] ?? sample));
    change(chunk);
    chunks[column] = writeStruct(chunk);
    group.set(1, toStructList(chunks));
    groups[0] = writeStruct(group);
    file.set(4, toStructList(groups));
  });
}

describe("openParquet", () => {
  test("makes each row group a whole file, which an independent reader reads back", async () => {
    const file = await openBytes(sample);
    expect(file.columns).toEqual([
      { name: "id", type: "Int32" },
      { name: "name", type: "Nullable(String)" },
    ]);
    expect(file.slices.map(({ ordinal, firstRow, rows }) => [ordinal, firstRow, rows])).toEqual([
      [0, 1, 1000],
      [1, 1001, 1000],
      [2, 2001, 500],
    ]);
    const slices = await sliceBytes(file);
    expect(slices.map(({ length }) => length)).toEqual(
      file.slices.map((slice) => slice.byteLength),
    );
    expect((await Promise.all(slices.map(readAll))).flat()).toEqual(await readAll(sample));
  });

  test("keeps what the footer says beside positions: names, statistics, key-value metadata", async () => {
    const [slice] = await sliceBytes(await openBytes(sample));
    const before = parquetMetadata(sample);
    const after = parquetMetadata(slice ?? new Uint8Array(0));
    expect(after.schema).toEqual(before.schema);
    expect(after.key_value_metadata).toEqual(before.key_value_metadata);
    expect(after.created_by).toBe(before.created_by);
    const statistics = (metadata: typeof after): unknown =>
      metadata.row_groups[0]?.columns.map(({ meta_data }) => meta_data?.statistics);
    expect(statistics(after)).toEqual(statistics(before));
    expect(after.num_rows).toBe(1000n);
  });

  test("gives a slice the same bytes and identity each time, and every slice another", async () => {
    const [first, again] = [await openBytes(sample), await openBytes(sample)];
    const identities = first.slices.map(({ identity }) => identity);
    expect(again.slices.map(({ identity }) => identity)).toEqual(identities);
    expect(new Set(identities).size).toBe(3);
    expect(await sliceBytes(again)).toEqual(await sliceBytes(first));
  });

  test("reads only the ends of a file to open it, and one range for each slice", async () => {
    const ranges: [number, number][] = [];
    const file = await openParquet({
      size: sample.length,
      async *readRange(start, end) {
        ranges.push([start, end]);
        yield sample.subarray(start, end);
      },
    });
    expect(ranges.length).toBe(2);
    for await (const _ of file.slices[1]?.open() ?? []);
    expect(ranges.length).toBe(3);
    expect(ranges[2]?.[0]).toBe(file.slices[1]?.byteOffset);
  });

  test("hands the signal of a slice to its ranged read", async () => {
    const abort = new AbortController();
    let handed: AbortSignal | undefined;
    const file = await openParquet({
      size: sample.length,
      async *readRange(start, end, signal) {
        handed = signal;
        yield sample.subarray(start, end);
      },
    });
    for await (const _ of file.slices[0]?.open(abort.signal) ?? []);
    expect(handed).toBe(abort.signal);
  });

  test.each([1, -1])("refuses a range that comes with %i bytes too many", async (extra) => {
    let opening = true;
    const file = await openParquet({
      size: sample.length,
      async *readRange(start, end) {
        yield opening ? sample.subarray(start, end) : new Uint8Array(end - start + extra);
      },
    });
    opening = false;
    await expect(Array.fromAsync(file.slices[0]?.open() ?? [])).rejects.toMatchObject({
      stage: "fetch",
      code: "length_mismatch",
    });
  });

  test("reads a footer that is longer than its first read", async () => {
    const names = Array.from({ length: 3000 }, (_, i) => `a column with a long name ${i}`);
    const wide = parquetWriteBuffer({
      columnData: names.map((name) => ({ name, data: [1], type: "INT32" })),
    });
    const file = await openBytes(new Uint8Array(wide));
    expect(file.columns.map(({ name }) => name)).toEqual(names);
  });

  test("gives no slice for a file without row groups", async () => {
    const file = await openBytes(
      changed((fields) => {
        fields.set(4, toStructList([]));
        fields.set(3, toInteger(I64, 0));
      }),
    );
    expect(file.slices).toEqual([]);
    expect(file.columns.length).toBe(2);
  });
});

describe("openParquet refuses", () => {
  const pare = Buffer.concat([sample.subarray(0, -4), Buffer.from("PARE")]);
  const chunkOffset = (offset: number): Buffer =>
    changedChunk(1, (chunk) => {
      const metadata = new Map(readStruct(chunk.get(3)?.bytes ?? sample));
      metadata.set(9, toInteger(I64, offset));
      metadata.delete(11);
      chunk.set(3, toStruct(metadata));
    });

  test.each<[string, string, Uint8Array]>([
    ["malformed", "a text file", Buffer.from("id,name\n1,2\n3,4\n5,6\n")],
    ["malformed", "an empty file", Buffer.alloc(0)],
    ["malformed", "a file cut at its end", sample.subarray(0, -20)],
    [
      "malformed",
      "a footer longer than the file",
      Buffer.concat([sample.subarray(0, -8), Buffer.from("ffffff7f50415231", "hex")]),
    ],
    [
      "malformed",
      "a count of rows that its row groups have not",
      changed((f) => f.set(3, toInteger(I64, 7))),
    ],
    ["malformed", "a column chunk behind the end of the data", chunkOffset(sample.length)],
    ["malformed", "a column chunk before the data", chunkOffset(1)],
    ["malformed", "column chunks that overlap", chunkOffset(4)],
    ["encrypted_file", "an encrypted footer", pare],
    ["encrypted_file", "a signed footer", changed((f) => f.set(8, toStruct(new Map())))],
    [
      "encrypted_file",
      "an encrypted column",
      changedChunk(0, (f) => f.set(8, toStruct(new Map()))),
    ],
    [
      "unsupported_feature",
      "columns in another file",
      changedChunk(0, (f) => f.set(1, { type: BINARY, bytes: Buffer.from("\u0003abc") })),
    ],
    [
      "unsupported_feature",
      "one row group twice",
      changed((f) => {
        const [group] = readList(f.get(4) ?? { type: 0, bytes: sample }, STRUCT);
        f.set(4, toStructList([group ?? sample, group ?? sample]));
        f.set(3, toInteger(I64, 2000));
      }),
    ],
  ])("as %s %s", async (code, _, bytes) => {
    await expect(openBytes(bytes)).rejects.toMatchObject({
      name: "StageError",
      stage: "parse",
      code,
    });
  });

  test.each(["maxFooterBytes", "maxRowGroupBytes"])("more than %s", async (option) => {
    const run = openBytes(sample, { [option]: 100 });
    await expect(run).rejects.toMatchObject({ code: "record_too_large" });
    await expect(run).rejects.toThrow(`${option} = 100`);
  });

  test("any damage to a footer with a StageError, or opens it with slices inside the file", async () => {
    const length = Buffer.from(sample).readUInt32LE(sample.length - 8);
    const start = sample.length - 8 - length;
    const damage = fc.array(
      fc.tuple(
        fc.integer({ min: start, max: sample.length - 9 }),
        fc.integer({ min: 0, max: 255 }),
      ),
      { minLength: 1, maxLength: 4 },
    );
    await fc.assert(
      fc.asyncProperty(damage, async (bytes) => {
        const copy = Uint8Array.from(sample);
        for (const [at, byte] of bytes) copy[at] = byte;
        try {
          for (const slice of (await openBytes(copy)).slices) {
            expect(slice.byteOffset).toBeGreaterThanOrEqual(4);
            expect(slice.byteLength).toBeLessThanOrEqual(sample.length + 100);
          }
        } catch (error) {
          expect(error).toBeInstanceOf(StageError);
        }
      }),
      { numRuns: 3000 },
    );
  });
});

const corpus = new URL("../../../../shared/corpora/hyparquet/files/", import.meta.url);
const files = existsSync(corpus) ? readdirSync(corpus).filter((f) => f.endsWith(".parquet")) : [];
test.skipIf(files.length === 0)(
  "every file of the hyparquet corpus opens (skipped without ../shared/corpora)",
  async () => {
    const rows = await Promise.all(
      files.map(async (name) => {
        const file = await openBytes(readFileSync(new URL(name, corpus)), { route: "slices" });
        return file.slices.reduce((sum, slice) => sum + slice.rows, 0) - file.rows;
      }),
    );
    expect(rows).toEqual(files.map(() => 0));
  },
);
