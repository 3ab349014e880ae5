import {
  BINARY,
  I32,
  I64,
  LIST,
  type ThriftValue,
  toInteger,
  toStruct,
  toStructList,
  writeStruct,
} from "../src/parquet/thrift.ts";

/** Parquet files made by hand, of which any part can be a lie. Field ids are those of parquet.thrift. */

export const i32 = (n: number): ThriftValue => toInteger(I32, n);
export const i64 = (n: number): ThriftValue => toInteger(I64, n);
export const text = (value: string): ThriftValue => {
  const bytes = Buffer.from(value);
  return { type: BINARY, bytes: Buffer.concat([Buffer.of(bytes.length), bytes]) };
};
export const struct = (fields: Readonly<Record<number, ThriftValue>>): ThriftValue =>
  toStruct(new Map(Object.entries(fields).map(([id, value]) => [Number(id), value])));
const list = (type: number, values: readonly ThriftValue[]): ThriftValue => ({
  type: LIST,
  bytes: Buffer.concat([Buffer.of((values.length << 4) | type), ...values.map((v) => v.bytes)]),
});

/** A schema element; a group has children and no type. */
export interface Element {
  readonly name: string;
  readonly type?: number;
  readonly length?: number;
  readonly repetition?: number;
  readonly children?: number;
  readonly converted?: number;
  readonly scale?: number;
  readonly precision?: number;
}

const ELEMENT = {
  type: 1,
  length: 2,
  repetition: 3,
  name: 4,
  children: 5,
  converted: 6,
  scale: 7,
  precision: 8,
};

function element(fields: Element): Uint8Array {
  const values = Object.entries(ELEMENT).flatMap(([key, id]): [number, ThriftValue][] => {
    const value = fields[key as keyof Element];
    if (value === undefined) return [];
    return [[id, typeof value === "string" ? text(value) : i32(value)]];
  });
  return writeStruct(new Map(values));
}

export const INT32 = 1;
export const ROOT: Element = { name: "root", children: 1 };
export const X: Element = { name: "x", type: INT32, repetition: 0 };

export interface Made {
  readonly schema?: readonly Element[];
  /** The one column chunk: its pages. */
  readonly pages: Uint8Array;
  readonly rows: number;
  readonly dictionaryBytes?: number;
  /** Smallest and largest value as the footer tells them. */
  readonly statistics?: { readonly min: number; readonly max: number };
}

/** Statistics: both the older fields and those of today. */
function bounds({ min, max }: { readonly min: number; readonly max: number }): ThriftValue {
  const binary = (n: number): ThriftValue => ({
    type: BINARY,
    bytes: Buffer.concat([Buffer.of(4), int32s(n)]),
  });
  return struct({ 1: binary(max), 2: binary(min), 3: i64(0), 5: binary(max), 6: binary(min) });
}

/** A file of one row group with one uncompressed column chunk. */
export function makeFile({
  schema = [ROOT, X],
  pages,
  rows,
  dictionaryBytes,
  statistics,
}: Made): Buffer {
  const chunk = {
    1: i32(schema.at(-1)?.type ?? INT32),
    2: list(I32, [i32(0), i32(8)]),
    3: list(BINARY, [text("x")]),
    4: i32(0),
    5: i64(rows),
    6: i64(pages.length),
    7: i64(pages.length),
    9: i64(4 + (dictionaryBytes ?? 0)),
    ...(dictionaryBytes === undefined ? {} : { 11: i64(4) }),
    ...(statistics === undefined ? {} : { 12: bounds(statistics) }),
  };
  const column = struct({ 2: i64(0), 3: struct(chunk) });
  const group = struct({ 1: toStructList([column.bytes]), 2: i64(pages.length), 3: i64(rows) });
  const footer = struct({
    1: i32(1),
    2: { type: LIST, bytes: toStructList(schema.map(element)).bytes },
    3: i64(rows),
    4: toStructList([group.bytes]),
  }).bytes;
  const length = Buffer.alloc(4);
  length.writeUInt32LE(footer.length);
  return Buffer.concat([Buffer.from("PAR1"), pages, footer, length, Buffer.from("PAR1")]);
}

/** What a page's header says, when it is not what its data is. */
export interface PageHeader {
  readonly size?: number;
  readonly values?: number;
  readonly crc?: number;
  readonly encoding?: number;
}

/** A data page (version 1) of required values. */
export function dataPage(data: Uint8Array, values: number, said: PageHeader = {}): Buffer {
  const size = said.size ?? data.length;
  const encoding = i32(said.encoding ?? 0);
  const header = struct({
    1: i32(0),
    2: i32(size),
    3: i32(size),
    ...(said.crc === undefined ? {} : { 4: i32(said.crc) }),
    5: struct({ 1: i32(said.values ?? values), 2: encoding, 3: i32(3), 4: i32(3) }),
  });
  return Buffer.concat([header.bytes, data]);
}

export function dictionaryPage(data: Uint8Array, values: number): Buffer {
  const header = struct({
    1: i32(2),
    2: i32(data.length),
    3: i32(data.length),
    7: struct({ 1: i32(values), 2: i32(0) }),
  });
  return Buffer.concat([header.bytes, data]);
}

export const int32s = (...numbers: readonly number[]): Buffer =>
  Buffer.from(Int32Array.from(numbers).buffer);
