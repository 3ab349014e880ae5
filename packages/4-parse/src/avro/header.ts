import { isUtf8 } from "node:buffer";
import { StageError } from "@sluice/errors";
import { type Cursor, createCursor, readLong, setBytes } from "./cursor.ts";
import { malformed, tooLarge } from "./fault.ts";
import type { Input } from "./input.ts";
import type { AvroLimits } from "./limits.ts";

/** What an object container file says of itself before its first block. */
export interface Header {
  /** The writer's schema, JSON. */
  readonly schema: string;
  readonly codec: string;
  /** 16 bytes that stand behind every block. */
  readonly sync: Uint8Array;
}

const MAGIC = [0x4f, 0x62, 0x6a, 0x01];
export const SYNC_BYTES = 16;

/**
 * Reads the header (specification, "Object Container Files") and leaves the input at the first block.
 * Throws `parse.malformed`, `parse.unsupported_feature` (Avro of before 1.3), `parse.bad_encoding`
 * and `parse.record_too_large`, all with the byte offset.
 */
export async function readHeader(input: Input, limits: AvroLimits): Promise<Header> {
  await input.fill(MAGIC.length);
  assertMagic(input.bytes.subarray(input.at, input.end));
  const cursor = createCursor();
  for (;;) {
    setBytes(cursor, input.bytes, input.at, input.end, limits);
    const had = input.end - input.at;
    let header: Header | undefined;
    try {
      header = parseHeader(cursor, input.at, limits);
    } catch (error) {
      if (!(error instanceof StageError)) throw error;
      throw error.at({ byteOffset: cursor.at - input.at });
    }
    if (header !== undefined) {
      input.at = cursor.at;
      return header;
    }
    // Twice what is there: a header in many chunks is read anew only a few times.
    if (!(await input.fill(had * 2)) && input.end - input.at === had) {
      throw malformed("the file ends inside its header", { byteOffset: had });
    }
  }
}

/** Undefined when the header goes on behind what is there. */
function parseHeader(cursor: Cursor, start: number, limits: AvroLimits): Header | undefined {
  const found = new Map<string, Uint8Array>();
  cursor.at += MAGIC.length;
  for (;;) {
    let count = readLong(cursor);
    if (count < 0) {
      count = -count;
      readLong(cursor);
    }
    if (cursor.at > cursor.end) return undefined;
    if (count === 0) break;
    if (!(count <= limits.maxHeaderBytes)) throw headerTooLarge(cursor, start, limits);
    for (; count > 0; count--) {
      const key = readBytes(cursor, start, limits.maxHeaderBytes, limits);
      if (key === undefined) return undefined;
      const name = Buffer.from(key).toString("latin1");
      const isSchema = name === "avro.schema";
      const most = isSchema ? limits.maxSchemaBytes : limits.maxHeaderBytes;
      const value = readBytes(cursor, start, most, limits, isSchema);
      if (value === undefined) return undefined;
      if (!name.startsWith("avro.")) continue;
      if (found.has(name)) throw malformed(`the header has ${name} twice`, { byteOffset: 0 });
      found.set(name, value);
    }
  }
  if (cursor.at + SYNC_BYTES > cursor.end) return undefined;
  const sync = cursor.bytes.slice(cursor.at, cursor.at + SYNC_BYTES);
  cursor.at += SYNC_BYTES;
  const schema = found.get("avro.schema");
  if (schema === undefined) throw malformed("the header has no avro.schema", { byteOffset: 0 });
  if (!isUtf8(schema)) {
    const options = { byteOffset: schema.byteOffset - cursor.bytes.byteOffset - start };
    throw new StageError("parse", "bad_encoding", "the schema is not UTF-8", options);
  }
  const codec = found.get("avro.codec");
  return {
    schema: Buffer.from(schema).toString(),
    codec: codec === undefined ? "null" : Buffer.from(codec).toString("latin1"),
    sync,
  };
}

function readBytes(
  cursor: Cursor,
  start: number,
  most: number,
  limits: AvroLimits,
  isSchema = false,
): Uint8Array | undefined {
  const length = readLong(cursor);
  if (cursor.at > cursor.end) return undefined;
  const byteOffset = cursor.at - start;
  if (length < 0) throw malformed("a negative length in the header", { byteOffset });
  if (isSchema && !(length <= most)) {
    throw tooLarge("bytes of schema", "maxSchemaBytes", most, { byteOffset });
  }
  if (!(byteOffset + length <= limits.maxHeaderBytes)) throw headerTooLarge(cursor, start, limits);
  const at = cursor.at;
  cursor.at += length;
  return cursor.at > cursor.end ? undefined : cursor.bytes.subarray(at, cursor.at);
}

function headerTooLarge(cursor: Cursor, start: number, limits: AvroLimits): StageError<"parse"> {
  const byteOffset = cursor.at - start;
  return tooLarge("bytes of header", "maxHeaderBytes", limits.maxHeaderBytes, { byteOffset });
}

function assertMagic(head: Uint8Array): void {
  if (MAGIC.every((byte, index) => head[index] === byte)) return;
  const isAvro = MAGIC.slice(0, 3).every((byte, index) => head[index] === byte);
  const options = {
    byteOffset: 0,
    seen: isAvro ? `Avro container version ${head[3] ?? "without a number"}` : describe(head),
    expected: "an Avro object container file (version 1)",
  };
  if (isAvro && head.length >= MAGIC.length) {
    const message = "the file is of an old Avro version; write it with Avro 1.3 or newer";
    throw new StageError("parse", "unsupported_feature", message, options);
  }
  const advice = "set the format that the file has, or write it as an Avro object container file";
  throw malformed(`the file is not an Avro object container file; ${advice}`, options);
}

const HEADS: readonly (readonly [head: readonly number[], name: string])[] = [
  [[0x50, 0x41, 0x52, 0x31], "Parquet"],
  [[0x1f, 0x8b], "gzip"],
  [[0x28, 0xb5, 0x2f, 0xfd], "zstd"],
  [[0x42, 0x5a, 0x68], "bzip2"],
  [[0x50, 0x4b, 0x03, 0x04], "zip"],
  [[0xc3, 0x01], "an Avro single-object message"],
  [[0x7b], "text that begins like JSON"],
  [[0x5b], "text that begins like JSON"],
  [[0x3c], "text that begins like XML"],
];

function describe(head: Uint8Array): string {
  if (head.length === 0) return "no bytes";
  const found = HEADS.find(([bytes]) => bytes.every((byte, index) => head[index] === byte));
  return found?.[1] ?? "other bytes";
}
