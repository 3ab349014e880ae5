import { StageError } from "@sluice/errors";

/**
 * Thrift's compact protocol, as far as Parquet's footer and its pages' headers need it: structs are read one level at a time
 * and every value stays where it is, as a range of bytes, so that what is not understood or not
 * changed can be written back byte for byte.
 * Specification: thrift-compact-protocol.md of Apache Thrift.
 */
export interface ThriftValue {
  readonly type: ThriftType;
  readonly bytes: Uint8Array;
}

/** A struct as its fields in their order, by field id. */
export type ThriftStruct = ReadonlyMap<number, ThriftValue>;

export type ThriftType = number;
export const TRUE: ThriftType = 1;
export const FALSE: ThriftType = 2;
export const BYTE: ThriftType = 3;
export const I16: ThriftType = 4;
export const I32: ThriftType = 5;
export const I64: ThriftType = 6;
export const DOUBLE: ThriftType = 7;
export const BINARY: ThriftType = 8;
export const LIST: ThriftType = 9;
export const SET: ThriftType = 10;
export const STRUCT: ThriftType = 12;

/** Deeper nesting than any footer has; a hostile one must not exhaust the stack. */
const MAX_DEPTH = 32;
const EMPTY: Uint8Array = new Uint8Array(0);

/** Reads the fields of a struct; bytes behind its end are left alone. */
export function readStruct(bytes: Uint8Array): ThriftStruct {
  return readStructAt(bytes, 0).fields;
}

/** Reads the fields of the struct that starts at a position, and says where it ends. */
export function readStructAt(
  bytes: Uint8Array,
  from: number,
): { fields: ThriftStruct; end: number } {
  const fields = new Map<number, ThriftValue>();
  const end = walkStruct(bytes, from, 0, (id, type, start, behind) => {
    if (fields.has(id)) throw malformed(`field ${id} stands twice in one struct`);
    fields.set(id, { type, bytes: bytes.subarray(start, behind) });
  });
  return { fields, end };
}

/** Reads the elements of a list, each as a value. */
export function readList(value: ThriftValue, of: ThriftType): Uint8Array[] {
  expectType(value, LIST);
  const { size, type, start } = listHead(value.bytes, 0);
  if (size > 0 && type !== of) throw malformed(`a list of type ${type}, expected ${of}`);
  const elements: Uint8Array[] = [];
  let at = start;
  for (let i = 0; i < size; i++) {
    const end = skip(value.bytes, at, type, 0);
    elements.push(value.bytes.subarray(at, end));
    at = end;
  }
  return elements;
}

/** Reads an integer of any width. Throws when it is beyond 2^53. */
export function readInteger(value: ThriftValue): number {
  if (value.type === BYTE) return ((value.bytes[0] ?? 0) << 24) >> 24;
  if (value.type !== I16 && value.type !== I32 && value.type !== I64) expectType(value, I64);
  const { number } = varint(value.bytes, 0);
  const decoded = number % 2n === 0n ? number / 2n : -(number + 1n) / 2n;
  if (decoded > Number.MAX_SAFE_INTEGER || decoded < Number.MIN_SAFE_INTEGER) {
    throw malformed("an integer beyond 2^53");
  }
  return Number(decoded);
}

export function readBoolean(value: ThriftValue): boolean {
  if (value.type !== TRUE) expectType(value, FALSE);
  return value.type === TRUE;
}

export function readText(value: ThriftValue): string {
  expectType(value, BINARY);
  const { number, end } = varint(value.bytes, 0);
  return Buffer.from(value.bytes.subarray(end, end + Number(number))).toString("utf8");
}

export function writeStruct(fields: ThriftStruct): Uint8Array {
  const parts: Uint8Array[] = [];
  let last = 0;
  for (const [id, { type, bytes }] of fields) {
    const delta = id - last;
    if (delta > 0 && delta < 16) parts.push(Uint8Array.of((delta << 4) | type));
    else parts.push(Uint8Array.of(type), toVarint(zigzag(id)));
    parts.push(bytes);
    last = id;
  }
  parts.push(Uint8Array.of(0));
  return concat(parts);
}

export function toStructList(structs: readonly Uint8Array[]): ThriftValue {
  const { length } = structs;
  const head =
    length < 15
      ? [Uint8Array.of((length << 4) | STRUCT)]
      : [Uint8Array.of(0xf0 | STRUCT), toVarint(BigInt(length))];
  return { type: LIST, bytes: concat([...head, ...structs]) };
}

export function toInteger(type: ThriftType, number: number): ThriftValue {
  return { type, bytes: toVarint(zigzag(number)) };
}

export function toStruct(fields: ThriftStruct): ThriftValue {
  return { type: STRUCT, bytes: writeStruct(fields) };
}

function expectType(value: ThriftValue, type: ThriftType): void {
  if (value.type !== type) throw malformed(`a value of type ${value.type}, expected ${type}`);
}

type OnField = (id: number, type: ThriftType, start: number, end: number) => void;

function walkStruct(bytes: Uint8Array, from: number, depth: number, onField?: OnField): number {
  if (depth > MAX_DEPTH) throw malformed(`structs nest deeper than ${MAX_DEPTH}`);
  let at = from;
  let id = 0;
  for (;;) {
    const head = byteAt(bytes, at++);
    const type = head & 0x0f;
    if (type === 0) return at;
    if (head >> 4 !== 0) id += head >> 4;
    else {
      const { number, end } = varint(bytes, at);
      id = Number(BigInt.asIntN(16, (number >> 1n) ^ -(number & 1n)));
      at = end;
    }
    // The value of a boolean field is its type.
    const end = type === TRUE || type === FALSE ? at : skip(bytes, at, type, depth);
    onField?.(id, type, at, end);
    at = end;
  }
}

/** Returns the position behind a value; a boolean here is an element of a list, which has a byte. */
function skip(bytes: Uint8Array, at: number, type: ThriftType, depth: number): number {
  switch (type) {
    case TRUE:
    case FALSE:
    case BYTE:
      return within(bytes, at + 1);
    case I16:
    case I32:
    case I64:
      return varint(bytes, at).end;
    case DOUBLE:
      return within(bytes, at + 8);
    case BINARY: {
      const { number, end } = varint(bytes, at);
      return within(bytes, end + Number(number));
    }
    case LIST:
    case SET: {
      if (depth > MAX_DEPTH) throw malformed(`lists nest deeper than ${MAX_DEPTH}`);
      const list = listHead(bytes, at);
      let end = list.start;
      for (let i = 0; i < list.size; i++) end = skip(bytes, end, list.type, depth + 1);
      return end;
    }
    case STRUCT:
      return walkStruct(bytes, at, depth + 1);
    default:
      // Parquet's metadata has no maps.
      throw malformed(`a value of unknown type ${type}`);
  }
}

function listHead(
  bytes: Uint8Array,
  at: number,
): { size: number; type: ThriftType; start: number } {
  const head = byteAt(bytes, at);
  const type = head & 0x0f;
  if (head >> 4 !== 15) return { size: head >> 4, type, start: at + 1 };
  const { number, end } = varint(bytes, at + 1);
  // An element takes a byte at least: a size beyond the rest is a lie that must not be looped over.
  if (number > BigInt(bytes.length - end)) throw malformed("a list longer than its bytes");
  return { size: Number(number), type, start: end };
}

function varint(bytes: Uint8Array, from: number): { number: bigint; end: number } {
  let number = 0n;
  for (let i = 0; i < 10; i++) {
    const byte = byteAt(bytes, from + i);
    number |= BigInt(byte & 0x7f) << BigInt(7 * i);
    if (byte < 0x80) return { number, end: from + i + 1 };
  }
  throw malformed("an integer of more than ten bytes");
}

function toVarint(number: bigint): Uint8Array {
  const bytes: number[] = [];
  let left = number;
  for (; left >= 0x80n; left >>= 7n) bytes.push(Number(left & 0x7fn) | 0x80);
  bytes.push(Number(left));
  return Uint8Array.from(bytes);
}

function zigzag(number: number): bigint {
  const wide = BigInt(number);
  return wide >= 0n ? wide * 2n : -wide * 2n - 1n;
}

function byteAt(bytes: Uint8Array, at: number): number {
  const byte = bytes[at];
  if (byte === undefined) throw malformed("it ends inside a value");
  return byte;
}

function within(bytes: Uint8Array, end: number): number {
  if (end > bytes.length) throw malformed("it ends inside a value");
  return end;
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  return parts.length === 0 ? EMPTY : new Uint8Array(Buffer.concat(parts));
}

function malformed(message: string): StageError {
  return new StageError("parse", "malformed", `the Parquet metadata: ${message}`);
}
