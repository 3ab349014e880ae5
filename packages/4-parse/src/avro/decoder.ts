import { createRowBuilder, type RowBuilder } from "../blocks/column-builder.ts";
import { type Cursor, createCursor } from "./cursor.ts";
import { tooLarge } from "./fault.ts";
import type { AvroLimits } from "./limits.ts";

/** What the functions compiled for one schema work on: bytes on one side, columns on the other. */
export interface Decoder {
  readonly cursor: Cursor;
  readonly rows: RowBuilder;
  readonly limits: AvroLimits;
}

/** Reads one value from the cursor on, to behind its last byte. */
export type Step = () => void;

export function createDecoder(width: number, limits: AvroLimits): Decoder {
  return { cursor: createCursor(), rows: createRowBuilder(width), limits };
}

/** Throws `parse.record_too_large` for a record whose values take more than `maxRecordBytes` of text. */
export function assertRecordBytes(bytes: number, limits: AvroLimits): void {
  if (bytes <= limits.maxRecordBytes) return;
  throw tooLarge("bytes of one record's values", "maxRecordBytes", limits.maxRecordBytes);
}
