import { damageOf } from "../damage.ts";
import type { ZipRecord } from "./directory-record.ts";

export const LOCAL_HEADER_BYTES = 30;

/** Where the next entry, or the directory, begins behind each entry. */
export type Layout = ReadonlyMap<ZipRecord, number>;

/**
 * Lays the entries out by their local headers' offsets: the first at the file's first byte, none overlapping the
 * next, the last before the directory. Whether they fill the room between exactly is seen when each is read.
 * Overlapping entries would let a small file unfold without end (D. Fifield, "A better zip bomb", 2019).
 */
export function layOut(records: readonly ZipRecord[], directoryStart: number): Layout {
  const sorted = records.toSorted((a, b) => a.localOffset - b.localOffset);
  const first = sorted[0]?.localOffset ?? directoryStart;
  if (first !== 0) {
    throw damageOf("zip", () => 0).corrupt(
      `${first} bytes stand before the first entry: the file is something else, with a zip behind.`,
    );
  }
  const layout = new Map<ZipRecord, number>();
  for (const [i, record] of sorted.entries()) {
    const next = sorted[i + 1]?.localOffset ?? directoryStart;
    const least =
      record.localOffset + LOCAL_HEADER_BYTES + record.rawName.byteLength + record.compressedSize;
    if (least > next) {
      throw damageOf("zip", () => record.offset).corrupt(
        i + 1 < sorted.length
          ? "Two entries overlap."
          : "An entry's data runs into the central directory.",
      );
    }
    layout.set(record, next);
  }
  return layout;
}
