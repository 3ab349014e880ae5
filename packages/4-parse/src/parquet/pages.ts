import { crc32 } from "node:zlib";
import { StageError } from "@sluice/errors";
import { MAGIC } from "./footer.ts";
import type { RowGroup } from "./row-group.ts";
import { readInteger, readStructAt, type ThriftStruct } from "./thrift.ts";

/** Field ids of PageHeader in parquet.thrift. */
const PAGE = { uncompressedBytes: 2, compressedBytes: 3, crc: 4 } as const;

/**
 * Walks the pages of a row group that is a file of its own, and checks what the decoder does not: that
 * they fill their column chunks exactly, that none is over the limit, and their CRC-32 where they
 * carry one. (ClickHouse checks its slices itself.) Throws `parse.malformed` and
 * `parse.record_too_large`, with the position in the original file.
 */
export function assertPages(file: Uint8Array, group: RowGroup, maxPageBytes: number): void {
  const shift = group.start - MAGIC.length;
  for (const { start, end } of group.chunks) {
    const chunk = file.subarray(start - shift, end - shift);
    let at = 0;
    while (at < chunk.length) at = assertPage(chunk, at, start, maxPageBytes);
  }
}

/** Gives the position behind the page. */
function assertPage(
  chunk: Uint8Array,
  at: number,
  chunkStart: number,
  maxPageBytes: number,
): number {
  const byteOffset = chunkStart + at;
  const { fields, end } = readStructAt(chunk, at);
  const size = sizeOf(fields, PAGE.compressedBytes, byteOffset);
  const largest = Math.max(size, sizeOf(fields, PAGE.uncompressedBytes, byteOffset));
  if (largest > maxPageBytes) {
    const message = `a Parquet page has ${largest} bytes, more than maxPageBytes = ${maxPageBytes}`;
    throw new StageError("parse", "record_too_large", message, { byteOffset });
  }
  const next = end + size;
  if (next > chunk.length) throw malformed("a page reaches over its column chunk", byteOffset);
  const crc = fields.get(PAGE.crc);
  if (crc !== undefined && crc32(chunk.subarray(end, next)) !== readInteger(crc) >>> 0) {
    throw malformed("a page does not have its checksum", byteOffset);
  }
  return next;
}

function sizeOf(fields: ThriftStruct, id: number, byteOffset: number): number {
  const value = fields.get(id);
  const size = value === undefined ? -1 : readInteger(value);
  if (size < 0) throw malformed("a page without a size, or of less than no bytes", byteOffset);
  return size;
}

function malformed(message: string, byteOffset: number): StageError<"parse"> {
  return new StageError("parse", "malformed", `the Parquet pages: ${message}`, { byteOffset });
}
