import { StageError } from "@sluice/errors";
import type { RowFault } from "@sluice/schema";
import { type BlockBuilder, placeOf } from "../blocks/block-builder.ts";

/** How much of a faulty record is kept. */
const RAW_BYTES = 4096;

/** Describes a record whose count of fields is wrong, or whose field number `garbled` (0: none) is. */
export function toFault(
  index: number,
  fields: number,
  width: number,
  garbled: number,
  record: Uint8Array,
): RowFault {
  const message =
    garbled > 0
      ? `text after the closing quote of field ${garbled}`
      : `${fields} ${fields === 1 ? "field" : "fields"}, expected ${width}`;
  return { index, code: "malformed", message, raw: record.slice(0, cutAt(record)) };
}

/** At most RAW_BYTES, and never inside a UTF-8 sequence: a continuation byte is 10xxxxxx. */
function cutAt(record: Uint8Array): number {
  if (record.length <= RAW_BYTES) return record.length;
  let at = RAW_BYTES;
  while (((record[at] ?? 0) & 0xc0) === 0x80) at--;
  return at;
}

/** The quote that opens at `byteOffset`, in the record behind those of the block, never closes. */
export function unclosed(block: BlockBuilder, byteOffset: number): StageError {
  const place = placeOf(block, block.rows, byteOffset);
  return new StageError("parse", "malformed", "a quote opens here and never closes", place);
}
