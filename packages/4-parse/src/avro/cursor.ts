import { malformed, tooLarge } from "./fault.ts";
import type { AvroLimits } from "./limits.ts";

/** A position in bytes of Avro's binary encoding. Readers move `at`; it may pass `end`, which `assertWithin` finds. */
export interface Cursor {
  bytes: Uint8Array;
  /** The same memory, for floats. */
  view: DataView;
  at: number;
  end: number;
  /** Records, arrays and maps that are open. */
  depth: number;
  /** Items without bytes that the Avro block may still have. */
  emptyItems: number;
  /** The long that `readLong` had no number for. */
  big: bigint;
}

export function createCursor(): Cursor {
  const bytes = new Uint8Array(0);
  const view = new DataView(bytes.buffer);
  return { bytes, view, at: 0, end: 0, depth: 0, emptyItems: 0, big: 0n };
}

/** Puts the cursor on `bytes[at .. end)`; what stands behind is never looked at. */
export function setBytes(
  cursor: Cursor,
  bytes: Uint8Array,
  at: number,
  end: number,
  limits: AvroLimits,
): void {
  // Always of one class, whoever made them: the readers below are compiled for it. Ends at `end`: a number that goes on
  // behind it reads zeros, not what memory that nobody has written yet may hold.
  cursor.bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, end);
  cursor.view = new DataView(bytes.buffer, bytes.byteOffset, end);
  cursor.at = at;
  cursor.end = end;
  cursor.depth = 0;
  cursor.emptyItems = limits.maxEmptyItems;
}

/**
 * A long in zigzag and variable length (specification, "Binary Encoding"). NaN when it is beyond 2^53:
 * then `cursor.big` has it. What stands behind the last byte reads as zeros.
 */
export function readLong(cursor: Cursor): number {
  const { bytes } = cursor;
  let { at } = cursor;
  let byte = bytes[at++] ?? 0;
  if (byte < 0x80) {
    cursor.at = at;
    return (byte >>> 1) ^ -(byte & 1);
  }
  let low = byte & 0x7f;
  for (let shift = 7; shift < 28; shift += 7) {
    byte = bytes[at++] ?? 0;
    low |= (byte & 0x7f) << shift;
    if (byte < 0x80) {
      cursor.at = at;
      return (low >>> 1) ^ -(low & 1);
    }
  }
  let high = 0;
  for (let shift = 0; shift < 28; shift += 7) {
    byte = bytes[at++] ?? 0;
    high |= (byte & 0x7f) << shift;
    if (byte < 0x80) break;
  }
  if (byte >= 0x80) {
    cursor.at = at;
    return readLongest(cursor, low, high);
  }
  cursor.at = at;
  const half = high * 0x8000000 + (low >>> 1);
  if (half > Number.MAX_SAFE_INTEGER) return keepBig(cursor, low, high, 0);
  return (low & 1) === 0 ? half : -half - 1;
}

function readLongest(cursor: Cursor, low: number, high: number): number {
  const { bytes } = cursor;
  const ninth = bytes[cursor.at++] ?? 0;
  let top = ninth & 0x7f;
  if (ninth >= 0x80) {
    const tenth = bytes[cursor.at++] ?? 0;
    if (tenth > 1) throw malformed("a long of more than 64 bits");
    top |= tenth << 7;
  }
  return keepBig(cursor, low, high, top);
}

function keepBig(cursor: Cursor, low: number, high: number, top: number): number {
  const raw = (BigInt(top) << 56n) | (BigInt(high) << 28n) | BigInt(low);
  const value = (raw & 1n) === 0n ? raw >> 1n : -(raw >> 1n) - 1n;
  const number = Number(value);
  if (Number.isSafeInteger(number)) return number;
  cursor.big = value;
  return Number.NaN;
}

export function readInt(cursor: Cursor): number {
  const value = readLong(cursor);
  if (value >= -0x80000000 && value <= 0x7fffffff) return value;
  throw malformed("an int of more than 32 bits");
}

/** The length of what follows: never negative, never more than is left. */
export function readLength(cursor: Cursor): number {
  const length = readLong(cursor);
  if (length >= 0 && length <= cursor.end - cursor.at) return length;
  if (length < 0) throw malformed("a negative length");
  throw malformed("a length beyond the block's end");
}

/** The index of a union's branch or an enum's symbol, of `count`. */
export function readIndex(cursor: Cursor, count: number, what: string): number {
  const index = readLong(cursor);
  if (index >= 0 && index < count) return index;
  throw malformed(`${what} ${Number.isNaN(index) ? cursor.big : index} of ${count}`);
}

/** Throws when more was read than there is. */
export function assertWithin(cursor: Cursor): void {
  if (cursor.at > cursor.end) throw malformed("a value goes on beyond the block's end");
}

/** Opens a record, an array or a map within a record; `cursor.depth--` closes it. */
export function enter(cursor: Cursor, limits: AvroLimits): void {
  if (++cursor.depth <= limits.maxDepth) return;
  throw tooLarge("values within values", "maxDepth", limits.maxDepth);
}

/** Holds a declared number of items against the bytes that are there. */
export function assertCount(
  cursor: Cursor,
  count: number,
  isEmpty: boolean,
  limits: AvroLimits,
): void {
  if (!isEmpty) {
    if (count <= cursor.end - cursor.at) return;
    throw malformed("a count of more items than bytes");
  }
  cursor.emptyItems -= count;
  if (cursor.emptyItems >= 0) return;
  throw tooLarge("items that take no bytes", "maxEmptyItems", limits.maxEmptyItems);
}

/**
 * Begins the next part of an array or map: its number of items, 0 at the end. `cursor.at` then stands on
 * the first one; `partEnd` is where the part says that it ends, or -1 when it does not say.
 */
export interface Part {
  count: number;
  partEnd: number;
}

export function readPart(cursor: Cursor, part: Part, isEmpty: boolean, limits: AvroLimits): void {
  let count = readLong(cursor);
  part.partEnd = -1;
  if (count < 0) {
    count = -count;
    const size = readLength(cursor);
    part.partEnd = cursor.at + size;
  }
  if (Number.isNaN(count)) throw malformed("a count of more items than bytes");
  assertCount(cursor, count, isEmpty, limits);
  part.count = count;
}

/** Holds the end of a part against what it said. */
export function assertPartEnd(cursor: Cursor, part: Part): void {
  if (part.partEnd >= 0 && part.partEnd !== cursor.at) {
    throw malformed("a part of an array or map is not as long as it says");
  }
}
