import { type ColumnBuilder, growColumn } from "../blocks/column-builder.ts";
import type { Cursor } from "./cursor.ts";

/** The column's memory with room for `length` more bytes. */
export function roomFor(column: ColumnBuilder, length: number): Uint8Array {
  const { data } = column;
  return column.end + length <= data.length ? data : growColumn(column, length);
}

/** Shorter texts are copied byte by byte: the call for a whole range costs more than it saves. */
const SHORT_BYTES = 24;
/** What is copied four bytes at a time costs less for longer than that. */
const LONG_BYTES = 96;

/** Puts `bytes[from .. to)` behind what the cell has so far. */
export function put(column: ColumnBuilder, bytes: Uint8Array, from: number, to: number): void {
  const length = to - from;
  const data = roomFor(column, length);
  let at = column.end;
  column.end = at + length;
  if (length > SHORT_BYTES) data.set(bytes.subarray(from, to), at);
  else for (let i = from; i < to; i++) data[at++] = bytes[i] ?? 0;
}

/**
 * The same for bytes that the cursor has read, four at a time: up to three bytes behind them come along, and are
 * written over by the next cell.
 */
export function putFrom(cursor: Cursor, column: ColumnBuilder, from: number, to: number): void {
  const length = to - from;
  if (length > LONG_BYTES || to + 3 > cursor.view.byteLength) {
    put(column, cursor.bytes, from, to);
    return;
  }
  roomFor(column, length + 3);
  const source = cursor.view;
  const { view, end } = column;
  for (let i = 0; i < length; i += 4) view.setUint32(end + i, source.getUint32(from + i));
  column.end = end + length;
}

/** The same for text of characters below U+0080 alone. */
export function putAscii(column: ColumnBuilder, text: string): void {
  const data = roomFor(column, text.length);
  let at = column.end;
  for (let i = 0; i < text.length; i++) data[at++] = text.charCodeAt(i);
  column.end = at;
}
