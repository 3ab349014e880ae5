import type { Block } from "@sluice/schema";

/** Consecutive rows of one block: `from` up to and without `to`. */
export interface Piece {
  readonly block: Block;
  readonly from: number;
  readonly to: number;
}

/** Bytes of the record number, the byte offset, and one offset for each of the three fault columns. */
const FIXED_BYTES = 8 + 8 + 3 * 4;

/**
 * Bytes that the rows take in a record batch, without null bitmaps and padding. It is a sum over rows,
 * so that borders drawn by it do not depend on where the blocks have theirs.
 */
export function bytesOf({ block, from, to }: Piece, columns: readonly number[]): number {
  let bytes = (to - from) * (FIXED_BYTES + columns.length * 4);
  for (const column of columns) {
    const offsets = block.columns[column]?.offsets;
    if (offsets !== undefined) bytes += (offsets[to] ?? 0) - (offsets[from] ?? 0);
  }
  for (const { index, code, message, raw } of block.faults) {
    if (index >= from && index < to) {
      bytes += Buffer.byteLength(code) + Buffer.byteLength(message) + raw.byteLength;
    }
  }
  return bytes;
}

/** Bytes that a block keeps from being freed, in columns that nobody chose too. Its arrays may share buffers. */
export function heldBy({ columns, byteOffsets }: Block): number {
  const buffers = new Set([byteOffsets.buffer]);
  for (const { offsets, data, validity } of columns) {
    buffers.add(offsets.buffer).add(data.buffer);
    if (validity !== undefined) buffers.add(validity.buffer);
  }
  let bytes = 0;
  for (const { byteLength } of buffers) bytes += byteLength;
  return bytes;
}

/** Whether at least half of what a block holds is text of the columns. */
export function isMostlyOf(block: Block, columns: readonly number[]): boolean {
  let bytes = 0;
  for (const column of new Set(columns)) bytes += block.columns[column]?.offsets[block.rows] ?? 0;
  return bytes * 2 >= heldBy(block);
}

/** The largest `to` for which the piece takes at most `room` bytes; `from` when no row fits. */
export function fit(piece: Piece, columns: readonly number[], room: number): number {
  const { block, from } = piece;
  if (bytesOf(piece, columns) <= room) return piece.to;
  let fits = from;
  let over = piece.to;
  while (over - fits > 1) {
    const middle = (fits + over) >>> 1;
    if (bytesOf({ block, from, to: middle }, columns) <= room) fits = middle;
    else over = middle;
  }
  return fits;
}
