import { readFileSync } from "node:fs";
import { constants, crc32, deflateRawSync, zstdCompressSync } from "node:zlib";
import type { WantedField } from "@sluice/schema";
import { chunked } from "@sluice/streams/testing";
import avro from "avsc";
import { snappyCompress } from "hysnappy";
import { type AvroLimits, parseAvro } from "../src/index.ts";
import { type Table, toTable } from "./table.ts";

export type Json = string | { readonly [name: string]: unknown } | readonly Json[];

/** One Avro block: how many records it says, and their bytes. */
export interface WrittenBlock {
  readonly count: number | bigint;
  readonly data: Uint8Array;
}

export interface Written {
  readonly bytes: Buffer;
  /** Positions at which the file may end: behind the header and behind each sync marker. */
  readonly borders: readonly number[];
}

export const SYNC: Buffer = Buffer.from("0123456789abcdef");
export const CODECS: readonly string[] = ["null", "deflate", "snappy", "zstandard"];

/** A long as Avro writes it. */
export function long(value: number | bigint): Buffer {
  const bytes: number[] = [];
  let left = BigInt.asUintN(64, (BigInt(value) << 1n) ^ (BigInt(value) >> 63n));
  for (; left >= 0x80n; left >>= 7n) bytes.push(Number(left & 0x7fn) | 0x80);
  bytes.push(Number(left));
  return Buffer.from(bytes);
}

export function text(value: string | Uint8Array): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([long(bytes.length), bytes]);
}

export function compress(codec: string, data: Uint8Array): Buffer {
  switch (codec) {
    case "deflate":
      return deflateRawSync(data);
    case "zstandard":
      return zstdCompressSync(data, { params: { [constants.ZSTD_c_checksumFlag]: 1 } });
    case "snappy": {
      const crc = Buffer.alloc(4);
      crc.writeUInt32BE(crc32(data));
      return Buffer.concat([snappyCompress(data), crc]);
    }
    default:
      return Buffer.from(data);
  }
}

/** A container file (specification, "Object Container Files"), with nothing checked. */
export function container(
  schema: Json,
  blocks: readonly WrittenBlock[],
  codec = "null",
  meta: Readonly<Record<string, string>> = {},
): Written {
  const pairs = { "avro.schema": JSON.stringify(schema), "avro.codec": codec, ...meta };
  const entries = Object.entries(pairs).flatMap(([key, value]) => [text(key), text(value)]);
  const count = long(entries.length / 2);
  const parts = [Buffer.from("Obj\u0001"), count, ...entries, long(0), SYNC];
  const borders = [Buffer.concat(parts).length];
  for (const block of blocks) {
    const data = compress(codec, block.data);
    parts.push(long(block.count), long(data.length), data, SYNC);
    borders.push(Buffer.concat(parts).length);
  }
  return { bytes: Buffer.concat(parts), borders };
}

/** avsc's long as a bigint: without it, it refuses what a number does not hold. */
const bigLong = avro.types.LongType.__with({
  fromBuffer: (bytes: Buffer) => bytes.readBigInt64LE(),
  toBuffer: (value: bigint) => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(value);
    return bytes;
  },
  fromJSON: BigInt,
  toJSON: String,
  isValid: (value: unknown) => typeof value === "bigint",
  compare: (a: bigint, b: bigint) => (a === b ? 0 : a < b ? -1 : 1),
} as never);

/** The schema as avsc's type: unions are wrapped, longs are bigints. */
export function toType(schema: Json): avro.Type {
  return avro.Type.forSchema(schema as avro.Schema, {
    wrapUnions: "always",
    typeHook: (part) => {
      const name = typeof part === "object" && "type" in part ? part.type : part;
      return name === "long" ? bigLong : undefined;
    },
  });
}

/** Records as blocks of at most `perBlock`, encoded by avsc. */
export function encode(schema: Json, values: readonly unknown[], perBlock = 1000): WrittenBlock[] {
  const type = toType(schema);
  const blocks: WrittenBlock[] = [];
  for (let at = 0; at < values.length; at += perBlock) {
    const part = values.slice(at, at + perBlock);
    blocks.push({ count: part.length, data: Buffer.concat(part.map((v) => type.toBuffer(v))) });
  }
  return blocks;
}

/** A record schema of one name, or an inner one of another. */
export const record = (fields: Readonly<Record<string, Json>>, name = "R"): Json => ({
  type: "record",
  name,
  fields: Object.entries(fields).map(([field, type]) => ({ name: field, type })),
});

export const wanted = (...names: string[]): WantedField[] =>
  names.map((incomingName) => ({ incomingName }));

export interface AvroTable extends Table {
  readonly types: readonly string[];
  readonly extra: readonly string[];
  readonly warnings: readonly string[];
}

/** Reads a whole file, in chunks of some bytes. */
export async function readAvro(
  bytes: Uint8Array,
  fields: readonly WantedField[],
  limits: Partial<AvroLimits> = {},
  chunk = 61,
): Promise<AvroTable> {
  const parsed = await parseAvro(fields, limits)(chunked(bytes, chunk));
  const table = await toTable(parsed);
  const { extra = [], warnings = [] } = parsed.findings?.() ?? {};
  return { ...table, types: parsed.columns.map(({ type }) => type), extra, warnings };
}

/** The names of all the fields that a file has. */
export async function fieldsOf(bytes: Uint8Array): Promise<WantedField[]> {
  return wanted(...(await readAvro(bytes, [])).extra);
}

/** One record of the fields, each with a value as avsc takes it. */
export async function one(
  fields: Readonly<Record<string, readonly [type: Json, value: unknown]>>,
  wants: readonly WantedField[] = wanted(...Object.keys(fields)),
): Promise<AvroTable> {
  const types = Object.entries(fields).map(([name, [type]]) => [name, type] as const);
  const schema = record(Object.fromEntries(types));
  const values = Object.entries(fields).map(([name, [, value]]) => [name, value] as const);
  return await readAvro(
    container(schema, encode(schema, [Object.fromEntries(values)])).bytes,
    wants,
  );
}

export const logical = (type: string, logicalType: string, more: object = {}): Json => ({
  type,
  logicalType,
  ...more,
});

export const join = (...parts: Uint8Array[]): Buffer => Buffer.concat(parts);

/** A block that says to have `count` records, whatever it has. */
export const block = (data: Uint8Array, count: number | bigint = 1): WrittenBlock => ({
  count,
  data,
});

/** The weather of the Apache corpus in two blocks of codec bzip2, which bzip2 itself wrote: nothing here writes it. */
export const BZIP2_FILE: Buffer = readFileSync(new URL("avro-weather-bzip2.avro", import.meta.url));

/** Where the file goes on behind the next sync marker. */
export const behindSync = (bytes: Buffer, from = 0): number =>
  bytes.indexOf(SYNC, from) + SYNC.length;
