import { StageError } from "@sluice/errors";
import type { MemoryPart } from "@sluice/streams";
import { LIST, readInteger, readList, readStruct, STRUCT, type ThriftStruct } from "./thrift.ts";

/** Reads bytes `start` up to and without `end` of the file. */
export type ReadRange = (
  start: number,
  end: number,
  signal?: AbortSignal,
) => AsyncIterable<Uint8Array>;

/** A file's footer: its fields as they stand, and what of them every reader needs. */
export interface Footer {
  /** FileMetaData of parquet.thrift. */
  readonly fields: ThriftStruct;
  /** Where the footer begins: no data may lie behind it. */
  readonly start: number;
  readonly rows: number;
  readonly schema: readonly Uint8Array[];
  readonly rowGroups: readonly Uint8Array[];
}

export const MAGIC: Uint8Array = Buffer.from("PAR1");
/** The footer's length and the magic behind it. */
const TAIL_BYTES = 8;
/** Read at first, in the hope that the footer is within. */
const FIRST_READ_BYTES = 1 << 16;

/** Field ids of FileMetaData. */
export const FILE = {
  schema: 2,
  rows: 3,
  rowGroups: 4,
  keyValues: 5,
  encryption: 8,
  signingKey: 9,
} as const;

/**
 * Reads and checks both ends of a Parquet file. Throws `parse.malformed` when they are not Parquet's,
 * `parse.encrypted_file`, and `parse.record_too_large` for a footer over the limit.
 */
export async function readFooter(
  size: number,
  readRange: ReadRange,
  maxFooterBytes: number,
  memory: MemoryPart,
): Promise<Footer> {
  if (size < MAGIC.length + TAIL_BYTES) throw notParquet(`${size} bytes`);
  assertMagic(await readExactly(readRange, 0, MAGIC.length), 0);
  const first = Math.max(0, size - FIRST_READ_BYTES);
  const tail = await readExactly(readRange, first, size);
  assertMagic(tail.subarray(-MAGIC.length), size - MAGIC.length);

  const length = tail.readUInt32LE(tail.length - TAIL_BYTES);
  const start = size - TAIL_BYTES - length;
  if (start < MAGIC.length) {
    throw malformed(`its length of ${length} bytes is more than the file has`, size - TAIL_BYTES);
  }
  if (length > maxFooterBytes) {
    const message = `the Parquet footer has ${length} bytes, more than maxFooterBytes = ${maxFooterBytes}`;
    throw new StageError("parse", "record_too_large", message, { byteOffset: start });
  }
  // As it came, and in one piece; what is read out of it are views.
  await memory.hold(2 * (size - Math.min(start, first)));
  const before = start < first ? await readExactly(readRange, start, first) : Buffer.alloc(0);
  const bytes = Buffer.concat([before, tail.subarray(Math.max(0, start - first), -TAIL_BYTES)]);
  return parseFooter(bytes, start);
}

function parseFooter(bytes: Uint8Array, start: number): Footer {
  const fields = readStruct(bytes);
  if (fields.has(FILE.encryption) || fields.has(FILE.signingKey)) throw encrypted();
  const rows = fields.get(FILE.rows);
  const schema = fields.get(FILE.schema);
  if (rows === undefined || schema === undefined) throw malformed("it lacks rows or schema", start);
  const rowGroups = fields.get(FILE.rowGroups) ?? { type: LIST, bytes: Uint8Array.of(STRUCT) };
  return {
    fields,
    start,
    rows: readInteger(rows),
    schema: readList(schema, STRUCT),
    rowGroups: readList(rowGroups, STRUCT),
  };
}

export function encrypted(): StageError<"parse"> {
  return new StageError(
    "parse",
    "encrypted_file",
    "the Parquet file is encrypted by its own means",
  );
}

async function readExactly(readRange: ReadRange, start: number, end: number): Promise<Buffer> {
  const bytes = Buffer.concat(await Array.fromAsync(readRange(start, end)));
  if (bytes.length === end - start) return bytes;
  const message = `${bytes.length} bytes came for a range of ${end - start}`;
  throw new StageError("fetch", "length_mismatch", message, { byteOffset: start });
}

function assertMagic(bytes: Uint8Array, byteOffset: number): void {
  if (Buffer.compare(bytes, MAGIC) === 0) return;
  if (Buffer.from(bytes).toString("latin1") === "PARE") throw encrypted();
  throw notParquet("other bytes", byteOffset);
}

function notParquet(seen: string, byteOffset = 0): StageError<"parse"> {
  return new StageError("parse", "malformed", "the file does not begin and end as Parquet does", {
    byteOffset,
    seen,
    expected: "PAR1 at both ends",
  });
}

function malformed(message: string, byteOffset: number): StageError<"parse"> {
  return new StageError("parse", "malformed", `the Parquet footer: ${message}`, { byteOffset });
}
