import type { Block, RowFault, TextColumn } from "@sluice/schema";
import { release } from "./release.ts";
import { uninitialised } from "./uninitialised.ts";

/**
 * Columns under construction. The tokeniser writes into the arrays itself: `ends[c]` is how much of
 * `data[c]` is taken, and moves back to `offsets[c][rows]` when a record is given up.
 */
export interface BlockBuilder {
  readonly width: number;
  /** Complete records. */
  rows: number;
  /** Number of the next block's first record. */
  firstRow: number;
  /** Fields that the last complete record had. */
  lastFields: number;
  readonly data: Uint8Array[];
  readonly ends: Int32Array;
  readonly offsets: Int32Array[];
  readonly validity: (Uint8Array | undefined)[];
  readonly nullCounts: Int32Array;
  byteOffsets: Float64Array;
  faults: RowFault[];
}

const encoder = new TextEncoder();
/** Below this length a loop over ASCII is faster than the call of the encoder. */
const SHORT_TEXT = 48;
const FIRST_CAPACITY_ROWS = 1024;
const FIRST_CAPACITY_BYTES = 8192;
/** Below this length a loop copies faster than the call of a built-in. */
const SHORT_BYTES = 48;

export function createBlockBuilder(width: number): BlockBuilder {
  const bytes = Math.max(64, Math.floor(FIRST_CAPACITY_BYTES / Math.max(1, width / 8)));
  return {
    width,
    rows: 0,
    firstRow: 1,
    lastFields: 0,
    data: Array.from({ length: width }, () => uninitialised(bytes)),
    ends: new Int32Array(width),
    offsets: Array.from({ length: width }, () => new Int32Array(firstCapacity(width) + 1)),
    validity: new Array<Uint8Array | undefined>(width).fill(undefined),
    nullCounts: new Int32Array(width),
    byteOffsets: new Float64Array(firstCapacity(width)),
    faults: [],
  };
}

function firstCapacity(width: number): number {
  return width > 100 ? 16 : FIRST_CAPACITY_ROWS;
}

/** Makes room for at least one more record. */
export function growRows(block: BlockBuilder): void {
  const capacity = block.byteOffsets.length * 2;
  const byteOffsets = new Float64Array(capacity);
  byteOffsets.set(block.byteOffsets);
  block.byteOffsets = byteOffsets;
  for (let column = 0; column < block.width; column++) {
    const offsets = new Int32Array(capacity + 1);
    const old = block.offsets[column];
    if (old !== undefined) offsets.set(old);
    block.offsets[column] = offsets;
    const bits = block.validity[column];
    if (bits !== undefined) {
      const grown = new Uint8Array(Math.ceil(capacity / 8)).fill(0xff);
      grown.set(bits);
      block.validity[column] = grown;
    }
  }
}

/** Makes room for `length` more bytes in a column, and returns the new array. */
export function growData(block: BlockBuilder, column: number, length: number): Uint8Array {
  const old = block.data[column] ?? uninitialised(0);
  const taken = block.ends[column] ?? 0;
  const grown = uninitialised((taken + length) * 2);
  grown.set(old.subarray(0, taken));
  block.data[column] = grown;
  return grown;
}

/** Puts `bytes[from .. to)` behind what the cell of the record under construction has so far. */
export function appendBytes(
  block: BlockBuilder,
  column: number,
  bytes: Uint8Array,
  from: number,
  to: number,
): void {
  const length = to - from;
  const at = block.ends[column] as number;
  let data = block.data[column] as Uint8Array;
  if (at + length > data.length) data = growData(block, column, length);
  if (length >= SHORT_BYTES) data.set(bytes.subarray(from, to), at);
  else for (let i = from, k = at; i < to; i++, k++) data[k] = bytes[i] as number;
  block.ends[column] = at + length;
}

/** The same for text, which must hold no lone surrogate. */
export function appendText(block: BlockBuilder, column: number, text: string): void {
  const at = block.ends[column] ?? 0;
  let data = block.data[column] ?? uninitialised(0);
  const { length } = text;
  if (at + length * 3 > data.length) data = growData(block, column, length * 3);
  if (length <= SHORT_TEXT) {
    let i = 0;
    for (; i < length; i++) {
      const c = text.charCodeAt(i);
      if (c >= 0x80) break;
      data[at + i] = c;
    }
    if (i === length) {
      block.ends[column] = at + length;
      return;
    }
  }
  block.ends[column] = at + encoder.encodeInto(text, data.subarray(at)).written;
}

/** Completes the record under construction: whatever its columns have now is its cells. */
export function endRecord(block: BlockBuilder, byteOffset: number): void {
  const { rows, width } = block;
  for (let column = 0; column < width; column++) {
    const offsets = block.offsets[column];
    if (offsets !== undefined) offsets[rows + 1] = block.ends[column] ?? 0;
  }
  block.byteOffsets[rows] = byteOffset;
  block.rows = rows + 1;
  if (block.rows === block.byteOffsets.length) growRows(block);
}

/** Makes the cell of the record under construction null. */
export function setNull(block: BlockBuilder, column: number): void {
  let bits = block.validity[column];
  if (bits === undefined) {
    bits = new Uint8Array(Math.ceil(block.byteOffsets.length / 8)).fill(0xff);
    block.validity[column] = bits;
  }
  const at = block.rows >> 3;
  bits[at] = (bits[at] ?? 0) & ~(1 << (block.rows & 7));
  block.nullCounts[column] = (block.nullCounts[column] ?? 0) + 1;
}

/** Forgets what was written of one cell of the record under construction. */
export function clearCell(block: BlockBuilder, column: number): void {
  const mask = 1 << (block.rows & 7);
  block.ends[column] = block.offsets[column]?.[block.rows] ?? 0;
  const bits = block.validity[column];
  const byte = bits?.[block.rows >> 3] ?? 0xff;
  if (bits !== undefined && (byte & mask) === 0) {
    bits[block.rows >> 3] = byte | mask;
    block.nullCounts[column] = (block.nullCounts[column] ?? 0) - 1;
  }
}

/** Forgets what was written of the record under construction: its first `fields` cells. */
export function rollBack(block: BlockBuilder, fields: number): void {
  for (let column = 0; column < Math.min(fields, block.width); column++) clearCell(block, column);
}

/** Puts a record without cells in the place of the one under construction. */
export function addFault(block: BlockBuilder, fields: number, fault: RowFault): void {
  rollBack(block, fields);
  for (let column = 0; column < block.width; column++) {
    const offsets = block.offsets[column];
    if (offsets !== undefined) offsets[block.rows + 1] = block.ends[column] ?? 0;
    setNull(block, column);
  }
  block.faults.push(fault);
}

/**
 * Puts whole cells of records to come behind a column's: `offsets` has where each ends in the column. Nothing of the block's records changes:
 * those that the cells belong to are counted when all columns have them, and there is room for one more.
 */
export function appendCells(
  block: BlockBuilder,
  column: number,
  cells: Uint8Array,
  offsets: Int32Array,
): void {
  const { length } = cells;
  const at = block.ends[column] as number;
  let data = block.data[column] as Uint8Array;
  if (at + length > data.length) data = growData(block, column, length);
  data.set(cells, at);
  block.ends[column] = at + length;
  block.offsets[column]?.set(offsets, block.rows + 1);
}

/** The same for nulls among them: `bits` has a 0 for each. */
export function appendNulls(
  block: BlockBuilder,
  column: number,
  bits: Uint8Array,
  count: number,
): void {
  let own = block.validity[column];
  if (own === undefined) {
    own = new Uint8Array(Math.ceil(block.byteOffsets.length / 8)).fill(0xff);
    block.validity[column] = own;
  }
  let nulls = 0;
  for (let i = 0; i < count; i++) {
    if (((bits[i >> 3] as number) & (1 << (i & 7))) !== 0) continue;
    const row = block.rows + i;
    own[row >> 3] = (own[row >> 3] as number) & ~(1 << (row & 7));
    nulls++;
  }
  block.nullCounts[column] = (block.nullCounts[column] as number) + nulls;
}

/** Hands the records over as a block and begins the next one with room for as many. */
export function takeBlock(block: BlockBuilder): Block {
  const { rows, width } = block;
  const capacity = Math.max(16, rows + (rows >> 4));
  const columns: TextColumn[] = [];
  for (let column = 0; column < width; column++) {
    const taken = block.ends[column] ?? 0;
    const bits = block.validity[column];
    columns.push({
      offsets: (block.offsets[column] ?? new Int32Array(1)).subarray(0, rows + 1),
      data: (block.data[column] ?? uninitialised(0)).subarray(0, taken),
      validity: bits === undefined ? undefined : cutBits(bits, rows),
      nullCount: block.nullCounts[column] ?? 0,
    });
    block.offsets[column] = new Int32Array(capacity + 1);
    block.data[column] = uninitialised(taken + (taken >> 3) + 64);
    block.validity[column] = undefined;
  }
  const taken: Block = {
    rows,
    firstRow: block.firstRow,
    columns,
    byteOffsets: block.byteOffsets.subarray(0, rows),
    faults: block.faults,
    release,
  };
  block.byteOffsets = new Float64Array(capacity);
  block.faults = [];
  block.ends.fill(0);
  block.nullCounts.fill(0);
  block.firstRow += rows;
  block.rows = 0;
  return taken;
}

/** The first `rows` bits, those behind them in the last byte cleared: equal columns have equal bytes. */
function cutBits(bits: Uint8Array, rows: number): Uint8Array {
  const cut = bits.subarray(0, Math.ceil(rows / 8));
  const last = cut.length - 1;
  if (rows % 8 !== 0) cut[last] = (cut[last] ?? 0) & ((1 << (rows % 8)) - 1);
  return cut;
}

/** Where a record of the block stands; the header, which is no row, has a position only. */
export function placeOf(
  block: BlockBuilder,
  index: number,
  byteOffset: number,
): { row?: number; byteOffset: number } {
  const row = block.firstRow + index;
  return row < 1 ? { byteOffset } : { row, byteOffset };
}
