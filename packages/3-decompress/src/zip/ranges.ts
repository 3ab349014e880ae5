import { LOCAL_HEADER_BYTES } from "./layout.ts";
import type { JudgedEntry } from "./open-zip.ts";
import { READ_THROUGH_BYTES } from "./range-cursor.ts";

/** Room for the extra fields of a local header that is read alone; a longer one takes another range. */
const EXTRA_BYTES = 1024;
/** The longest data descriptor. */
const DESCRIPTOR_BYTES = 24;

/**
 * Plans the ranges: what is wanted, and what is smaller than a round trip is worth, is read in one go; of larger entries
 * that are passed over only the local header and the descriptor. The function tells where the range ends that a position lies in.
 */
export function rangesOf(
  entries: readonly JudgedEntry[],
  directoryStart: number,
): (position: number) => number {
  const ranges: { start: number; end: number }[] = [];
  const add = (start: number, end: number): void => {
    const last = ranges.at(-1);
    if (last !== undefined && start <= last.end) last.end = Math.max(last.end, end);
    else ranges.push({ start, end });
  };
  for (const { record, isWanted, next } of entries.toSorted(byOffset)) {
    const start = record.localOffset;
    if (isWanted || next - start <= READ_THROUGH_BYTES) add(start, next);
    else {
      add(start, start + LOCAL_HEADER_BYTES + record.rawName.byteLength + EXTRA_BYTES);
      add(next - DESCRIPTOR_BYTES, next);
    }
  }
  return (position) => {
    const range = ranges.find(({ start, end }) => start <= position && position < end);
    // Only a local header that is longer than planned gets here: never more than its entry's rest.
    return range?.end ?? Math.min(position + READ_THROUGH_BYTES, directoryStart);
  };
}

const byOffset = (a: JudgedEntry, b: JudgedEntry): number =>
  a.record.localOffset - b.record.localOffset;
