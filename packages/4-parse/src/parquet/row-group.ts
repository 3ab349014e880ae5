import { StageError } from "@sluice/errors";
import { encrypted, FILE, type Footer, MAGIC } from "./footer.ts";
import {
  I16,
  I64,
  readInteger,
  readList,
  readStruct,
  readText,
  STRUCT,
  type ThriftStruct,
  type ThriftValue,
  toInteger,
  toStruct,
  toStructList,
  writeStruct,
} from "./thrift.ts";

/** Where a row group's bytes are in its file. */
export interface RowGroup {
  readonly rows: number;
  readonly start: number;
  readonly end: number;
  /** Its column chunks' bytes, in the file's order. */
  readonly chunks: readonly { readonly start: number; readonly end: number }[];
  /** Bytes of its pages before compression, as the footer says: a hint, never a promise. */
  readonly uncompressedBytes: number;
}

/** Field ids of parquet.thrift. */
const GROUP = { columns: 1, totalBytes: 2, rows: 3, fileOffset: 5, ordinal: 7 } as const;
const CHUNK = { filePath: 1, fileOffset: 2, metadata: 3, crypto: 8, encrypted: 9 } as const;
const METADATA = { compressedBytes: 7, data: 9, index: 10, dictionary: 11 } as const;
/** A page's header names its kind, two sizes and a header of the kind. */
const MIN_PAGE_BYTES = 8;
/** Offset index, column index: pointers to what lies outside of the row group. */
const CHUNK_POINTERS: readonly number[] = [4, 5, 6, 7];
/** Bloom filter, likewise. */
const METADATA_POINTERS: readonly number[] = [14, 15];

/**
 * Reads where the row group lies, and checks that it does so inside the data and that its column
 * chunks do not overlap. Throws `parse.malformed`, `parse.unsupported_feature` for columns in other
 * files, `parse.encrypted_file`.
 */
export function readRowGroup(bytes: Uint8Array, leaves: number, dataEnd: number): RowGroup {
  const group = readStruct(bytes);
  const rows = readInteger(required(group, GROUP.rows, "a row group has no count of rows"));
  const chunks = readList(required(group, GROUP.columns, "a row group has no columns"), STRUCT);
  if (rows < 0) throw malformed("a row group has less than no rows");
  if (chunks.length !== leaves) {
    throw malformed(`a row group has ${chunks.length} columns, its schema ${leaves}`);
  }
  // Writers put nothing sensible where there is nothing.
  const nothing = {
    rows,
    start: MAGIC.length,
    end: MAGIC.length,
    chunks: [],
    uncompressedBytes: 0,
  };
  if (rows === 0) return nothing;
  const spans = chunks.map((chunk) => spanOf(readStruct(chunk), dataEnd));
  spans.sort((a, b) => a.start - b.start);
  for (const [i, span] of spans.entries()) {
    const next = spans[i + 1];
    if (next !== undefined && next.start < span.end) throw malformed("column chunks overlap");
  }
  const [first] = spans;
  const last = spans.at(-1);
  if (first === undefined || last === undefined) return nothing;
  // A page counts its values in 31 bits, and takes more than these bytes: a column of fewer has not the rows.
  const least = spans.reduce((min, span) => Math.min(min, span.end - span.start), Infinity);
  if (rows > (least / MIN_PAGE_BYTES) * 2 ** 31) {
    throw malformed(`a row group counts ${rows} rows, and has a column of ${least} bytes`);
  }
  const total = group.get(GROUP.totalBytes);
  const uncompressedBytes = Math.max(0, total === undefined ? 0 : readInteger(total));
  return { rows, start: first.start, end: last.end, chunks: spans, uncompressedBytes };
}

/**
 * The footer of a file that has this row group alone, its bytes directly behind the magic. All fields
 * of the original stay as they are, byte for byte, but those that count rows or point somewhere, and
 * the key-value metadata if it is not wanted.
 */
export function writeFooter(
  footer: Footer,
  bytes: Uint8Array,
  { rows, start }: RowGroup,
  { hasKeyValues = true }: { readonly hasKeyValues?: boolean } = {},
): Uint8Array {
  const shift = start - MAGIC.length;
  const group = new Map(readStruct(bytes));
  const chunks = readList(required(group, GROUP.columns, ""), STRUCT);
  group.set(GROUP.columns, toStructList(chunks.map((chunk) => moveChunk(chunk, shift))));
  if (group.has(GROUP.fileOffset)) group.set(GROUP.fileOffset, toInteger(I64, MAGIC.length));
  if (group.has(GROUP.ordinal)) group.set(GROUP.ordinal, toInteger(I16, 0));

  const fields = new Map(footer.fields);
  fields.set(FILE.rows, toInteger(I64, rows));
  fields.set(FILE.rowGroups, toStructList([writeStruct(group)]));
  if (!hasKeyValues) fields.delete(FILE.keyValues);
  const metadata = writeStruct(fields);
  const end = Buffer.alloc(4);
  end.writeUInt32LE(metadata.length);
  return Buffer.concat([metadata, end, MAGIC]);
}

function moveChunk(bytes: Uint8Array, shift: number): Uint8Array {
  const chunk = new Map(readStruct(bytes));
  for (const id of CHUNK_POINTERS) chunk.delete(id);
  // Deprecated; today's writers put 0, and where it pointed to is not in the slice.
  chunk.set(CHUNK.fileOffset, toInteger(I64, 0));
  const metadata = new Map(readStruct(metadataOf(chunk)));
  for (const id of METADATA_POINTERS) metadata.delete(id);
  for (const id of [METADATA.data, METADATA.index, METADATA.dictionary]) {
    const value = metadata.get(id);
    const offset = value === undefined ? 0 : readInteger(value);
    // Some writers put 0 where there is no dictionary.
    if (offset > 0) metadata.set(id, toInteger(I64, offset - shift));
  }
  chunk.set(CHUNK.metadata, toStruct(metadata));
  return writeStruct(chunk);
}

function spanOf(chunk: ThriftStruct, dataEnd: number): { start: number; end: number } {
  if (chunk.has(CHUNK.crypto) || chunk.has(CHUNK.encrypted)) throw encrypted();
  const path = chunk.get(CHUNK.filePath);
  if (path !== undefined && readText(path) !== "") {
    const message = "a Parquet file whose columns lie in other files";
    throw new StageError("parse", "unsupported_feature", message);
  }
  const metadata = readStruct(metadataOf(chunk));
  const size = readInteger(required(metadata, METADATA.compressedBytes, "a column has no size"));
  const data = readInteger(required(metadata, METADATA.data, "a column has no data page"));
  const dictionary = metadata.get(METADATA.dictionary);
  const first = dictionary === undefined ? 0 : readInteger(dictionary);
  const start = first > 0 ? Math.min(first, data) : data;
  const end = start + size;
  if (size < 0 || start < MAGIC.length || end > dataEnd) {
    throw malformed(`a column chunk at bytes ${start} to ${end} is outside of the file's data`);
  }
  return { start, end };
}

function metadataOf(chunk: ThriftStruct): Uint8Array {
  return required(chunk, CHUNK.metadata, "a column chunk has no metadata").bytes;
}

function required(fields: ThriftStruct, id: number, message: string): ThriftValue {
  const value = fields.get(id);
  if (value === undefined) throw malformed(message);
  return value;
}

function malformed(message: string): StageError<"parse"> {
  return new StageError("parse", "malformed", `the Parquet footer: ${message}`);
}
