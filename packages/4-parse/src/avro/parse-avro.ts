import { StageError } from "@sluice/errors";
import type { Block, ParsedEntry, WantedField } from "@sluice/schema";
import { closing } from "../blocks/closing.ts";
import { takeRows } from "../blocks/column-builder.ts";
import { heldByRows, type MemoryOption, parserMemory } from "../blocks/held-memory.ts";
import { createDecompress, type Decompress } from "./codecs.ts";
import { type ColumnPlan, planColumns, readPlaces } from "./columns.ts";
import { compileRecord } from "./compile.ts";
import { readDataBlock } from "./data-blocks.ts";
import { createDecoder } from "./decoder.ts";
import { type Header, readHeader } from "./header.ts";
import { createInput, type Input } from "./input.ts";
import { AVRO_LIMITS, type AvroLimits } from "./limits.ts";
import { createRecords } from "./records.ts";
import { parseSchema } from "./schema.ts";
import { assertTextColumns } from "./text-columns.ts";

/**
 * An Avro object container file (specification 1.12) as blocks of text columns. The call reads the header alone; its
 * schema, the writer's, gives the columns: one for each wanted field that it has, in their order. A field is found by
 * name, or by an alias, among the fields of the record, or by its path through records, keys of maps and indexes of arrays;
 * a union with null is passed through. Of other unions a value that is one is its own text, days and moments in ISO 8601.
 * Records, arrays, maps, and bytes in such unions are JSON, as `createCompileJson` says. A file whose values are no records has one field, `value`.
 *
 * Every block is held against its size, its sync marker, its count and its codec's checksum, and each of its bytes belongs
 * to one record. What the format cannot tell: a file cut exactly behind a sync marker (or
 * one byte later, where the next block has five records: that byte is a line feed, which editors add); changed bytes within
 * values under the codecs null and deflate, which carry no checksum; anything inside of values that nobody wants, beyond
 * their lengths.
 *
 * Rows count from 1. A row's byte offset is its own under the codec null, its block's under others.
 *
 * Throws `parse.malformed`, `parse.bad_encoding` (a wanted string that is not UTF-8), `parse.record_too_large` (a
 * limit, named) and `parse.unsupported_feature` (a codec; Avro before 1.3; at once, a path that is none), with the byte offset, and with the row from
 * which on the file cannot be read. Whoever does not read `blocks` closes the source by their iterator's `return`.
 */
export function parseAvro(
  fields: readonly WantedField[],
  { memory, ...options }: Partial<AvroLimits> & MemoryOption = {},
): (source: AsyncIterable<Uint8Array>) => Promise<ParsedEntry> {
  const limits = { ...AVRO_LIMITS, ...options };
  const wanted = readPlaces(fields);
  return async (source) => {
    const input = createInput(source, parserMemory(memory));
    try {
      const header = await readHeader(input, limits);
      const decompress = await createDecompress(header.codec, limits);
      const plan = planColumns(parseSchema(header.schema, limits), wanted);
      const file: File = { header, decompress, plan, limits, warnings: [] };
      return {
        columns: plan.columns,
        blocks: closing(cut(input, file), input.close),
        findings: () => ({ absent: [], extra: plan.extra, warnings: file.warnings }),
      };
    } catch (error) {
      await input.close();
      throw error;
    }
  };
}

/** Bytes that a compressed byte of a block most often becomes at most. */
const USUAL_RATIO = 4;

interface File {
  readonly header: Header;
  readonly decompress: Decompress;
  readonly plan: ColumnPlan;
  readonly limits: AvroLimits;
  readonly warnings: string[];
}

async function* cut(input: Input, file: File): AsyncGenerator<Block> {
  const { header, decompress, plan, limits } = file;
  const decoder = createDecoder(plan.columns.length, limits);
  const { rows } = decoder;
  const take = (): Block => {
    const taken = takeRows(rows);
    assertTextColumns(taken, plan.columns, plan.textColumns);
    return taken;
  };
  let isFirst = true;
  let opened: Uint8Array = new Uint8Array(0);
  input.beside = () => opened.byteLength + heldByRows(rows);
  try {
    const records = createRecords(decoder, compileRecord(decoder, plan), plan);
    for (;;) {
      // What a block's own bytes show wrong is told with the place where the block begins.
      const place = { row: rows.firstRow + rows.rows, byteOffset: input.base + input.at };
      try {
        const found = await readDataBlock(input, header, limits, isFirst);
        isFirst = false;
        if (found === undefined) break;
        const isPlain = header.codec === "null";
        // What comes out is guessed before, and counted after it came.
        if (!isPlain) await input.hold(found.bytes.byteLength * USUAL_RATIO);
        opened = isPlain ? new Uint8Array(0) : decompress(found.bytes);
        if (!isPlain) await input.hold(0);
        records.begin(found, isPlain ? found.bytes : opened, isPlain);
      } catch (error) {
        throw error instanceof StageError && error.stage === "parse" ? error.at(place) : error;
      }
      while (!records.decode()) yield take();
    }
    if (input.at < input.end) file.warnings.push("a line end stands behind the last block");
    if (rows.rows > 0) yield take();
  } finally {
    await input.close();
  }
}
