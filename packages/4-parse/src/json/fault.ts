import { addFault, type BlockBuilder, endRecord } from "../blocks/block-builder.ts";
import type { Scan } from "./scan.ts";

/** How much of a faulty record is kept. */
export const RAW_BYTES = 4096;

/** Gives the block a row without cells for a record that is refused. */
export function addRefused(
  block: BlockBuilder,
  byteOffset: number,
  code: "malformed" | "record_too_large",
  message: string,
  record: Uint8Array,
): void {
  const raw = record.slice(0, cutAt(record));
  addFault(block, block.width, { index: block.rows, code, message, raw });
  endRecord(block, byteOffset);
}

/** The code for what stopped the scan. */
export function codeOf(scan: Scan): "malformed" | "record_too_large" {
  return scan.option === undefined ? "malformed" : "record_too_large";
}

/** At most RAW_BYTES, and never inside a UTF-8 sequence: a continuation byte is 10xxxxxx. */
function cutAt(record: Uint8Array): number {
  if (record.length <= RAW_BYTES) return record.length;
  let at = RAW_BYTES;
  while (at > 0 && ((record[at] ?? 0) & 0xc0) === 0x80) at--;
  return at;
}
