import type { Block, TextColumn } from "@sluice/schema";
import { release } from "./release.ts";
import { uninitialised } from "./uninitialised.ts";

/** One column under construction. A cell is `data[start .. end)` until its row ends; who writes it moves `end`. */
export interface ColumnBuilder {
  data: Uint8Array;
  /** The same memory, for writing several bytes at once. */
  view: DataView;
  end: number;
  start: number;
  offsets: Int32Array;
  validity: Uint8Array | undefined;
  nullCount: number;
}

/** Columns that are written each by itself, value by value, with nothing to look up: what `BlockBuilder` is for a tokeniser. */
export interface RowBuilder {
  readonly columns: readonly ColumnBuilder[];
  /** Complete rows. */
  rows: number;
  /** Number of the block's first row. */
  firstRow: number;
  byteOffsets: Float64Array;
}

const FIRST_CAPACITY_ROWS = 256;
const FIRST_CAPACITY_BYTES = 1024;

export function createRowBuilder(width: number): RowBuilder {
  const rows = width > 100 ? 16 : FIRST_CAPACITY_ROWS;
  const columns = Array.from({ length: width }, () => {
    const data = uninitialised(width > 100 ? 64 : FIRST_CAPACITY_BYTES);
    const view = new DataView(data.buffer);
    const offsets = new Int32Array(rows + 1);
    return { data, view, end: 0, start: 0, offsets, validity: undefined, nullCount: 0 };
  });
  return { columns, rows: 0, firstRow: 1, byteOffsets: new Float64Array(rows) };
}

/** Makes room for `length` more bytes, and returns the new array. */
export function growColumn(column: ColumnBuilder, length: number): Uint8Array {
  const grown = uninitialised((column.end + length) * 2);
  grown.set(column.data.subarray(0, column.end));
  column.data = grown;
  column.view = new DataView(grown.buffer);
  return grown;
}

/** Makes the cell of the row under construction null. */
export function setNullCell(builder: RowBuilder, column: ColumnBuilder): void {
  const { rows } = builder;
  column.validity ??= new Uint8Array(Math.ceil(builder.byteOffsets.length / 8)).fill(0xff);
  column.validity[rows >> 3] = (column.validity[rows >> 3] ?? 0) & ~(1 << (rows & 7));
  column.nullCount++;
}

/** Forgets what was written of a cell of the row under construction. */
export function forgetCell(builder: RowBuilder, column: ColumnBuilder): void {
  const { rows } = builder;
  column.end = column.start;
  const mask = 1 << (rows & 7);
  const byte = column.validity?.[rows >> 3] ?? 0xff;
  if (column.validity === undefined || (byte & mask) !== 0) return;
  column.validity[rows >> 3] = byte | mask;
  column.nullCount--;
}

/** Completes the row under construction, and says how many bytes all columns have now. */
export function endRow(builder: RowBuilder, byteOffset: number): number {
  const { columns } = builder;
  const row = builder.rows;
  let bytes = 0;
  for (let i = 0; i < columns.length; i++) {
    const column = columns[i];
    if (column === undefined) continue;
    const { end } = column;
    column.offsets[row + 1] = end;
    column.start = end;
    bytes += end;
  }
  builder.byteOffsets[row] = byteOffset;
  builder.rows = row + 1;
  if (builder.rows === builder.byteOffsets.length) growRows(builder);
  return bytes;
}

function growRows(builder: RowBuilder): void {
  const capacity = builder.byteOffsets.length * 2;
  const byteOffsets = new Float64Array(capacity);
  byteOffsets.set(builder.byteOffsets);
  builder.byteOffsets = byteOffsets;
  for (const column of builder.columns) {
    const offsets = new Int32Array(capacity + 1);
    offsets.set(column.offsets);
    column.offsets = offsets;
    if (column.validity === undefined) continue;
    const validity = new Uint8Array(Math.ceil(capacity / 8)).fill(0xff);
    validity.set(column.validity);
    column.validity = validity;
  }
}

/** Hands the rows over as a block and begins the next one with room for as many. */
export function takeRows(builder: RowBuilder): Block {
  const { rows, firstRow } = builder;
  const capacity = Math.max(16, rows + (rows >> 4));
  const columns = builder.columns.map((column) => takeColumn(column, rows, capacity));
  const byteOffsets = builder.byteOffsets.subarray(0, rows);
  builder.byteOffsets = new Float64Array(capacity);
  builder.firstRow += rows;
  builder.rows = 0;
  return { rows, firstRow, columns, byteOffsets, faults: [], release };
}

function takeColumn(column: ColumnBuilder, rows: number, capacity: number): TextColumn {
  const { data, end, offsets, validity, nullCount } = column;
  column.data = uninitialised(end + (end >> 3) + 64);
  column.view = new DataView(column.data.buffer);
  column.end = 0;
  column.start = 0;
  column.offsets = new Int32Array(capacity + 1);
  column.validity = undefined;
  column.nullCount = 0;
  return {
    offsets: offsets.subarray(0, rows + 1),
    data: data.subarray(0, end),
    // A cell that was null and then was not leaves bits that say nothing.
    validity: validity === undefined || nullCount === 0 ? undefined : cutBits(validity, rows),
    nullCount,
  };
}

/** The first `rows` bits, those behind them in the last byte cleared: equal columns have equal bytes. */
function cutBits(bits: Uint8Array, rows: number): Uint8Array {
  const cut = bits.subarray(0, Math.ceil(rows / 8));
  const last = cut.length - 1;
  if (rows % 8 !== 0) cut[last] = (cut[last] ?? 0) & ((1 << (rows % 8)) - 1);
  return cut;
}
