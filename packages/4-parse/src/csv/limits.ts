import { StageError } from "@sluice/errors";
import { type BlockBuilder, placeOf } from "../blocks/block-builder.ts";

/**
 * What one file of delimited text may ask of memory, and how its blocks are cut. Bytes are counted in UTF-8, in
 * which a file of another encoding is cut.
 */
export interface DelimitedLimits {
  /** Bytes of one field's value; more is `parse.record_too_large`. Default 16 MiB. */
  readonly maxFieldBytes: number;
  /** Bytes of one record with its marks and its line end; more is `parse.record_too_large`. Default 16 MiB. */
  readonly maxRecordBytes: number;
  /** Default 10,000. */
  readonly maxColumns: number;
  /** Bytes of one name in the header. Default 1 KiB. */
  readonly maxHeaderNameBytes: number;
  /** A block closes with this many records. Default 65,536. */
  readonly maxBlockRows: number;
  /** A block closes with the record that reaches this many bytes. Default 1 MiB. */
  readonly maxBlockBytes: number;
  /** A block closes before it has more cells (records x columns), empty ones included. Default 2 Mi. */
  readonly maxBlockCells: number;
}

export const DELIMITED_LIMITS: DelimitedLimits = {
  maxFieldBytes: 16 * 2 ** 20,
  maxRecordBytes: 16 * 2 ** 20,
  maxColumns: 10_000,
  maxHeaderNameBytes: 1024,
  maxBlockRows: 65_536,
  maxBlockBytes: 2 ** 20,
  maxBlockCells: 2 * 2 ** 20,
};

/** Throws for the block's record under construction, which takes so many bytes of the text at `at`, when it is too large. */
export function assertSizes(
  block: BlockBuilder,
  fields: number,
  { maxFieldBytes, maxRecordBytes }: DelimitedLimits,
  bytes: number,
  at: number,
): void {
  if (bytes > maxRecordBytes) throw tooLarge(block, "maxRecordBytes", maxRecordBytes, at);
  for (let column = 0; column < Math.min(fields, block.width); column++) {
    const length = (block.ends[column] ?? 0) - (block.offsets[column]?.[block.rows] ?? 0);
    if (length > maxFieldBytes) throw tooLarge(block, "maxFieldBytes", maxFieldBytes, at);
  }
}

export function tooLarge(
  block: BlockBuilder,
  option: string,
  limit: number,
  byteOffset: number,
): StageError {
  const place = placeOf(block, block.rows, byteOffset);
  return new StageError("parse", "record_too_large", `more than ${option} = ${limit} bytes`, place);
}

/** When the block is to be closed: after so many records. */
export function maxRowsOf({ maxBlockRows, maxBlockCells }: DelimitedLimits, width: number): number {
  return Math.min(maxBlockRows, Math.max(1, Math.floor(maxBlockCells / Math.max(1, width))));
}
