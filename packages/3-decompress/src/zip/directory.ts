import type { MemoryPart } from "@sluice/streams";
import type { ArchiveLimits } from "../archive-options.ts";
import { damageOf } from "../damage.ts";
import { describeBytes, SNIFF_BYTES } from "../sniff.ts";
import { parseDirectory, type ZipRecord } from "./directory-record.ts";
import { findDirectory, noEndRecord, TAIL_BYTES } from "./end-record.ts";
import { assertSecondReading } from "./second-reader.ts";
import { readStretch, type ZipFile } from "./zip-file.ts";

export interface ZipDirectory {
  /** In the directory's order. */
  readonly records: readonly ZipRecord[];
  /** Where the directory starts: the end of the last entry. */
  readonly start: number;
  /** Where to read the entries from: a small zip is in memory by now. */
  readonly file: ZipFile;
}

/** Reads and verifies the central directory: by one range for most zips, by two for a large directory. */
export async function readDirectory(
  file: ZipFile,
  limits: ArchiveLimits,
  memory: MemoryPart,
): Promise<ZipDirectory> {
  const short = (): Error => damageOf("zip", () => file.size).truncated("before its own size");
  const tail = await readStretch(file, Math.max(0, file.size - TAIL_BYTES), file.size, short);
  const place = findDirectory(tail, limits);
  if (place === undefined) {
    const head = await readStretch(file, 0, Math.min(SNIFF_BYTES, file.size), short);
    throw noEndRecord(file.size, describeBytes(head.bytes));
  }
  // The bytes, and what two readers make of each record.
  await memory.hold(tail.bytes.byteLength + 2 * (place.end - place.start));
  // A large directory begins before the tail.
  const whole =
    place.start >= tail.start
      ? tail
      : await readStretch(file, place.start, tail.start, short, tail.bytes);
  const bytes = whole.bytes.subarray(place.start - whole.start, place.end - whole.start);
  const records = parseDirectory({ start: place.start, bytes }, place.entries);
  const uncommented = whole.bytes.subarray(0, place.commentStart - whole.start);
  await assertSecondReading({ start: whole.start, bytes: uncommented }, records);
  return { records, start: place.start, file: tail.start === 0 ? inMemory(tail.bytes) : file };
}

const inMemory = (bytes: Buffer): ZipFile => ({
  size: bytes.byteLength,
  async *readRange(start, end) {
    yield bytes.subarray(start, end);
  },
});
