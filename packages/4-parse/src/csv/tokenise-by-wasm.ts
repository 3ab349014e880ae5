import type { Block, TextColumn } from "@sluice/schema";
import type { WorkingMemory } from "@sluice/streams";
import { createBlockBuffers } from "../blocks/block-buffers.ts";
import { createBlockBuilder, growRows } from "../blocks/block-builder.ts";
import { reserve } from "../webassembly/module-pool.ts";
import type { Cutter } from "./cutter.ts";
import { type Dialect, LF, type Mark } from "./dialect.ts";
import { toFault, unclosed } from "./fault.ts";
import { type DelimitedLimits, maxRowsOf, tooLarge } from "./limits.ts";
import {
  FAULTY,
  FULL,
  LARGE_RECORD,
  MORE,
  NO_ROOM,
  tokenisers,
  UNCLOSED,
} from "./wasm-tokeniser.ts";

/** Lengths of cells have this many bytes at most: two bits of them are flags. */
const MAX_CELL_BYTES = 2 ** 29;
/** Scans and copies go by 16 bytes, and may pass the end of what is theirs. */
const SLACK = 64;
/** Numbers of 32 bits for each column: see `fill`. */
const COLUMN_NUMBERS = 5;
/** Room for text at first, beside a block's. */
const FIRST_TEXT_BYTES = 2 ** 19;
/** Of the index, before it is known how many records a block has. */
const FIRST_INDEX_BYTES = 2 ** 16;
const NULL_TEXT_AT = 4096;
const NO_BYTE = 256;

/** Whether the tokeniser in WebAssembly knows the dialect: all marks of one byte, no record delimiter, no comments. */
export function isForWasm(dialect: Dialect, limits: DelimitedLimits): boolean {
  const { delimiter, quote, escape: mark, recordDelimiter, comment, nullText } = dialect;
  return (
    delimiter.length === 1 &&
    quote.length <= 1 &&
    mark.length <= 1 &&
    (quote.length === 1 || mark.length === 0) &&
    recordDelimiter.length === 0 &&
    comment.length === 0 &&
    (nullText?.length ?? 0) <= 1024 &&
    limits.maxRecordBytes <= MAX_CELL_BYTES &&
    limits.maxBlockBytes <= MAX_CELL_BYTES
  );
}

/**
 * The tokeniser of most files: by the rules of `createTokenise`, in WebAssembly, which looks at 16 bytes at a time. Its memory holds, one
 * behind the other, the block's text as it stands in the file, an index of the cells, and, once the block is full, the columns, which are made of
 * both. They are copied out in one piece.
 */
export function createWasmCutter(
  dialect: Dialect,
  limits: DelimitedLimits,
  width: number,
  task?: WorkingMemory,
): Cutter {
  const wasm = tokenisers.take();
  const { memory } = wasm;
  const buffers = createBlockBuffers(task);
  const maxRows = maxRowsOf(limits, width);
  const { nullText } = dialect;
  /** It has the records' places alone. */
  const block = createBlockBuilder(0);
  const text = align(NULL_TEXT_AT + (nullText?.length ?? 0) + SLACK);
  const recordBytes = (width + 1) * 8;
  let textBytes = Math.min(limits.maxBlockBytes, 2 ** 20) + FIRST_TEXT_BYTES;
  let index = align(text + textBytes);
  /** Records that the index has room for. */
  let capacity = 0;
  /** Behind the text of the block's records. */
  let end = text;
  let isOpen = true;

  const growIndex = (records: number): void => {
    reserve(wasm, index + records * recordBytes + SLACK);
    capacity = records;
  };
  /** The index stands behind the text, and moves when that needs more room. */
  const growText = (bytes: number): void => {
    if (bytes <= textBytes) return;
    textBytes = Math.max(bytes, textBytes * 2);
    const from = index;
    index = align(text + textBytes);
    reserve(wasm, index + capacity * recordBytes + SLACK);
    new Uint8Array(memory.buffer).copyWithin(index, from, from + block.rows * recordBytes);
  };
  growIndex(Math.min(maxRows, Math.max(16, Math.floor(FIRST_INDEX_BYTES / recordBytes))));
  if (nullText !== undefined) new Uint8Array(memory.buffer).set(nullText, NULL_TEXT_AT);
  wasm.configure(
    byteOf(dialect.delimiter),
    byteOf(dialect.quote),
    byteOf(dialect.escape),
    dialect.isDoubling,
    width,
    NULL_TEXT_AT,
    nullText?.length ?? -1,
    maxRows,
    toLimit(limits.maxBlockBytes),
    toLimit(limits.maxRecordBytes),
    toLimit(limits.maxFieldBytes),
  );
  wasm.begin(text);

  /** Notes where the records that were cut stand. */
  const note = (): void => {
    const rows = wasm.rows.value;
    const places = new Float64Array(memory.buffer, index, rows * (width + 1));
    while (block.byteOffsets.length < rows) growRows(block);
    for (let row = block.rows; row < rows; row++) {
      block.byteOffsets[row] = places[row * (width + 1)] as number;
    }
    block.rows = rows;
  };

  const tokenise: Cutter["tokenise"] = (window, _, isLast) => {
    const { bytes, start, base } = window;
    const length = window.end - start;
    growText(end - text + length + SLACK);
    const held = new Uint8Array(memory.buffer, end, length + 1);
    held.set(bytes.subarray(start, window.end));
    held[length] = LF;
    /** What makes an address a position in the window. */
    const shift = start - end;
    for (;;) {
      const state = wasm.cut(end + length, isLast, base + shift, index, capacity);
      note();
      window.start = wasm.position.value + shift;
      const at = wasm.recordStart.value + shift;
      if (state === NO_ROOM) {
        growIndex(Math.min(maxRows, capacity * 2));
        continue;
      }
      if (state === FAULTY) {
        const record = bytes.subarray(at, wasm.recordEnd.value + shift);
        const { fields, garbled } = wasm;
        const row = block.rows - 1;
        block.faults.push(toFault(row, fields.value, width, garbled.value, record));
        if (wasm.isFull() === 0) continue;
      } else if (state === UNCLOSED) throw unclosed(block, base + at);
      else if (state !== MORE && state !== FULL) {
        const option = state === LARGE_RECORD ? "maxRecordBytes" : "maxFieldBytes";
        throw tooLarge(block, option, limits[option], base + at);
      }
      end = wasm.position.value;
      if (state !== MORE) return true;
      if (window.end - window.start > limits.maxRecordBytes)
        throw tooLarge(block, "maxRecordBytes", limits.maxRecordBytes, base + window.start);
      return false;
    }
  };

  /** Makes the columns, and copies them out: all of a block is in one buffer. */
  const take = (): Block => {
    const { rows, firstRow, faults } = block;
    const table = index + rows * recordBytes;
    const out = align(table + width * COLUMN_NUMBERS * 4);
    const size = end - text + width * (rows * 4 + Math.ceil(rows / 8) + 16) + SLACK;
    reserve(wasm, out + size);
    const outEnd = wasm.fill(index, table, out);
    const placesBytes = rows * 8;
    const buffer = buffers.take(placesBytes + outEnd - out);
    const moved = placesBytes - out;
    new Uint8Array(buffer).set(new Uint8Array(memory.buffer, out, outEnd - out), placesBytes);
    const byteOffsets = new Float64Array(buffer, 0, rows);
    byteOffsets.set(block.byteOffsets.subarray(0, rows));
    const numbers = new Uint32Array(memory.buffer, table, width * COLUMN_NUMBERS);
    const columns: TextColumn[] = [];
    for (let at = 0; at < numbers.length; at += COLUMN_NUMBERS) {
      const [offsets, data, bits, bytes, nullCount] = numbers.subarray(
        at,
        at + COLUMN_NUMBERS,
      ) as unknown as [number, number, number, number, number];
      columns.push({
        offsets: new Int32Array(buffer, offsets + moved, rows + 1),
        data: new Uint8Array(buffer, data + moved, bytes),
        validity:
          bits === 0 ? undefined : new Uint8Array(buffer, bits + moved, Math.ceil(rows / 8)),
        nullCount,
      });
    }
    block.faults = [];
    block.firstRow += rows;
    block.rows = 0;
    end = text;
    wasm.begin(text);
    return buffers.lend({ rows, firstRow, columns, byteOffsets, faults });
  };

  return {
    block,
    tokenise,
    take,
    held: () => memory.buffer.byteLength + block.byteOffsets.byteLength + buffers.idleBytes,
    close() {
      if (!isOpen) return;
      isOpen = false;
      buffers.close();
      tokenisers.giveBack(wasm);
    },
  };
}

function align(bytes: number): number {
  return Math.ceil(bytes / 8) * 8;
}

function byteOf({ length, first }: Mark): number {
  return length === 0 ? NO_BYTE : first;
}

/** A number that WebAssembly can hold, of a limit that no cell passes. */
function toLimit(bytes: number): number {
  return Math.min(bytes, 2 ** 31);
}
