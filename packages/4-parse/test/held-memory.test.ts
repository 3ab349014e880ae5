import type { ParsedEntry, Slice } from "@sluice/schema";
import { createByteBudget, type WorkingMemory } from "@sluice/streams";
import { chunked, countedMemory } from "@sluice/streams/testing";
import { parquetWriteBuffer } from "hyparquet-writer";
import { describe, expect, test } from "vitest";
import { parseAvro, parseDelimited, parseJson, parseXml } from "../src/index.ts";
import { container, text } from "./avro-file.ts";
import { openBytes } from "./parquet-file.ts";
import { COMMA } from "./table.ts";

const MIB = 2 ** 20;
const LONG = "x".repeat(8 * MIB);
const x = [{ incomingName: "x" }];
const AVRO = {
  type: "record",
  name: "row",
  fields: [{ name: "x", type: "string" }],
};
const avroOf = (codec: string): Buffer =>
  container(AVRO, [{ count: 1, data: text(LONG) }], codec).bytes;

type Parse = (memory: WorkingMemory) => (source: AsyncIterable<Uint8Array>) => Promise<ParsedEntry>;

/** One long value in each format, and the parser that finds it. */
const FORMATS: readonly (readonly [string, Uint8Array, Parse])[] = [
  ["delimited text", Buffer.from(`x\n${LONG}\n`), (memory) => parseDelimited(COMMA, { memory })],
  [
    "JSON",
    Buffer.from(`{"x":"${LONG}"}\n`),
    (memory) =>
      parseJson({ kind: "json", shape: "lines", recordPath: "", explodePath: "" }, x, { memory }),
  ],
  [
    "XML",
    Buffer.from(`<rows><row><x>${LONG}</x></row></rows>`),
    (memory) => parseXml({ kind: "xml", rowElement: "row", explodePath: "" }, x, { memory }),
  ],
  ["Avro", avroOf("null"), (memory) => parseAvro(x, { memory })],
  ["deflated Avro", avroOf("deflate"), (memory) => parseAvro(x, { memory })],
];

async function rowsOf(parsed: ParsedEntry): Promise<number> {
  let rows = 0;
  for await (const block of parsed.blocks) rows += block.rows;
  return rows;
}

describe.each(FORMATS)("a long value in %s", (_, bytes, parse) => {
  test("is held as far as its window and its cell go, whatever the chunks", async () => {
    for (const size of [64 * 1024, bytes.byteLength]) {
      const memory = countedMemory();
      expect(await rowsOf(await parse(memory)(chunked(bytes, size)))).toBe(1);
      expect(memory.peak).toBeGreaterThan(LONG.length);
      expect(memory.peak).toBeLessThan(8 * LONG.length);
    }
  });

  test("is record_too_large where a task may not hold so much", async () => {
    const memory = countedMemory(4 * MIB);
    const run = async (): Promise<number> => await rowsOf(await parse(memory)(chunked(bytes, MIB)));
    await expect(run()).rejects.toMatchObject({
      stage: "parse",
      code: "record_too_large",
      message: expect.stringContaining(`maxBytes = ${4 * MIB}`),
    });
  });
});

describe("Parquet decoded to Arrow", () => {
  const wide = Array.from({ length: 16 }, (_, i) => `${i}${"x".repeat(MIB)}`);
  const bytes = new Uint8Array(
    parquetWriteBuffer({ columnData: [{ name: "x", data: wide }], codec: "UNCOMPRESSED" }),
  );
  const unitsOf = async (memory: WorkingMemory): Promise<Slice[]> => {
    const file = await openBytes(bytes, { route: "arrow", memory });
    return await Array.fromAsync(file.units());
  };

  test("holds its file and the decoder's memory until it ends", async () => {
    const memory = countedMemory();
    expect((await unitsOf(memory)).length).toBeGreaterThan(1);
    // The file of 16 MiB, and 64 MiB for its copy and a piece.
    expect(memory.peak).toBeGreaterThan(80 * MIB);
    expect(memory.held).toBeLessThan(MIB);
  });

  test("begins with less than a row group may need, and takes more as it needs it", async () => {
    const value = `${"x".repeat(40 * MIB)}`;
    const one = new Uint8Array(
      parquetWriteBuffer({ columnData: [{ name: "x", data: [value] }], codec: "SNAPPY" }),
    );
    const memory = countedMemory();
    const file = await openBytes(one, { route: "arrow", memory });
    const [unit] = await Array.fromAsync(file.units());
    expect(unit?.byteLength).toBeGreaterThan(40 * MIB);
    expect(memory.peak).toBeGreaterThan(100 * MIB);
  });

  test("gives the same pieces in what is left to it, and is refused below what it needs", async () => {
    const all = (await unitsOf(countedMemory())).map(({ identity }) => identity);
    const tight = (await unitsOf(countedMemory(72 * MIB))).map(({ identity }) => identity);
    expect(tight).toEqual(all);
    await expect(unitsOf(countedMemory(24 * MIB))).rejects.toMatchObject({
      stage: "parse",
      code: "record_too_large",
      message: expect.stringContaining(`maxBytes = ${24 * MIB}`),
    });
  });

  test("leases its pieces until they are released", async () => {
    const budget = createByteBudget(2 ** 30);
    const file = await openBytes(bytes, { route: "arrow", budget });
    for await (const unit of file.units()) {
      expect(budget.used).toBe(unit.byteLength);
      unit.release?.();
    }
    expect(budget.used).toBe(0);
  });
});
