import {
  appendBytes,
  type BlockBuilder,
  clearCell,
  createBlockBuilder,
  growData,
  setNull,
} from "../blocks/block-builder.ts";
import { decodeString } from "./decode-string.ts";
import type { FieldNode } from "./field-tree.ts";
import type { Member } from "./names.ts";
import { type Scan, STOPPED, stopAtLimit } from "./scan.ts";

/** The cells of a row under construction, and what else its record's scan comes upon. */
export interface Cells {
  readonly block: BlockBuilder;
  /** For each column the last row that had a value there, null included. */
  readonly rows: Float64Array;
  /** Number of the row under construction: counts every attempt. */
  row: number;
  /** Bytes of the row's cells so far. */
  bytes: number;
  /** Columns whose text has an escape for half a character. */
  readonly broken: Set<number>;
  /** Whether an object on the fields' way has a key twice. */
  hasDuplicate: boolean;
  /** Members that no field takes, with what stands before their names. */
  readonly untaken: { readonly prefix: string; readonly member: Member }[];
  /** The value at explodePath, null left out: where it begins (-1: nowhere) and what is behind it. */
  explodedFrom: number;
  explodedTo: number;
}

export function createCells(block: BlockBuilder): Cells {
  return {
    block,
    rows: new Float64Array(block.width),
    row: 0,
    bytes: 0,
    broken: new Set(),
    hasDuplicate: false,
    untaken: [],
    explodedFrom: -1,
    explodedTo: -1,
  };
}

/** Cells that never become a row by themselves: those that a record's exploded rows have in common. */
export function createSharedCells(width: number): Cells {
  return createCells(createBlockBuilder(width));
}

/** Begins a row: forgets what the scan of another one left. */
export function beginRow(cells: Cells): void {
  cells.row++;
  cells.bytes = 0;
  cells.hasDuplicate = false;
  cells.explodedFrom = -1;
  if (cells.broken.size > 0) cells.broken.clear();
  if (cells.untaken.length > 0) cells.untaken.length = 0;
}

/** Makes `bytes[from .. to)` the cell. STOPPED when the row grows over its limit. */
export function takeBytes(
  scan: Scan,
  cells: Cells,
  column: number,
  bytes: Uint8Array,
  from: number,
  to: number,
): number {
  const length = to - from;
  cells.bytes += length;
  if (cells.bytes > scan.limits.maxRowBytes) return stopAtRow(scan, to);
  cells.rows[column] = cells.row;
  appendBytes(cells.block, column, bytes, from, to);
  return to;
}

/** Makes the text of the string `bytes[from .. to)`, which has escapes, the cell. */
export function takeEscaped(
  scan: Scan,
  cells: Cells,
  column: number,
  bytes: Uint8Array,
  from: number,
  to: number,
): number {
  const { block } = cells;
  cells.bytes += to - from;
  if (cells.bytes > scan.limits.maxRowBytes) return stopAtRow(scan, to);
  cells.rows[column] = cells.row;
  const at = block.ends[column] as number;
  let data = block.data[column] as Uint8Array;
  if (at + to - from > data.length) data = growData(block, column, to - from);
  const end = decodeString(bytes, from, to, data, at);
  if (end < 0) cells.broken.add(column);
  else block.ends[column] = end;
  return to;
}

export function takeNull(cells: Cells, column: number): void {
  cells.rows[column] = cells.row;
  setNull(cells.block, column);
}

/** Forgets what the row has at a place and below it: a later member has the same name. */
export function clearBelow(cells: Cells, node: FieldNode): void {
  for (const column of node.below) {
    clearCell(cells.block, column);
    cells.rows[column] = 0;
    cells.broken.delete(column);
  }
  if (node.holdsExploded) cells.explodedFrom = -1;
}

function stopAtRow(scan: Scan, at: number): number {
  stopAtLimit(scan, at, "maxRowBytes", "bytes in the cells of a row");
  return STOPPED;
}
