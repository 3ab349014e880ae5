import { StageError } from "@sluice/errors";
import type { Entry } from "@sluice/schema";
import { UNCOUNTED } from "@sluice/streams";
import { openEntry } from "../archive-entry.ts";
import { createArchiveNames, unsafeEntry } from "../archive-names.ts";
import { type ArchiveLimits, type ArchiveOptions, archiveLimits } from "../archive-options.ts";
import { damageOf } from "../damage.ts";
import { readDirectory } from "./directory.ts";
import type { ZipRecord } from "./directory-record.ts";
import { createZipMeter, readEntryContent } from "./entry-content.ts";
import { assertReadable, isZipDirectory } from "./entry-kind.ts";
import { entryNames } from "./entry-name.ts";
import { type Layout, layOut } from "./layout.ts";
import { assertEntryEnd, readLocalHeader } from "./local-header.ts";
import { createRangeCursor } from "./range-cursor.ts";
import { rangesOf } from "./ranges.ts";
import type { ZipFile } from "./zip-file.ts";

/**
 * Opens a zip by its central directory and gives its files in the directory's order: stored or deflated, zip64,
 * with or without data descriptors. The file is read at random, so a zip that comes as a stream is spooled first;
 * one that lies plainly in S3 is read where it lies.
 *
 * The directory is verified whole before the first entry is given: names, limits, overlaps, and a second reading
 * by node-stream-zip. Local headers, descriptors and the room between entries are verified as the entries are
 * passed, read or not; CRC-32 and sizes of every entry that is read to its end. Nothing of the file belongs to no entry, so
 * that readers from the front and from the back see the same.
 *
 * An entry's bytes are read before the next entry is asked for. Directories and the companion files of macOS
 * (`__MACOSX/`, `.DS_Store`, `._*`) are passed over. Links, devices and unsafe names are refused whether they are
 * wanted or not; encryption and unknown methods only of entries that are wanted.
 */
export async function* openZip(file: ZipFile, options: ArchiveOptions = {}): AsyncGenerator<Entry> {
  const limits = archiveLimits(options);
  const { memory = UNCOUNTED } = options;
  const held = memory.part(
    (message) => new StageError("decompress", "limit_exceeded", `The zip's directory: ${message}.`),
  );
  const directory = await readDirectory(file, limits, held);
  const { records, start } = directory;
  const layout = layOut(records, start);
  const entries = judge(records, layout, options, limits);
  const cursor = createRangeCursor(directory.file, rangesOf(entries, start));
  const meter = createZipMeter(limits);
  try {
    for (const { record, name, isWanted, next } of entries) {
      const dataStart = await readLocalHeader(cursor, record, next).catch(placed(name));
      if (isWanted) {
        const content = readEntryContent(cursor, record, dataStart, meter);
        const opened = openEntry(name, named(name, content));
        try {
          yield opened.entry;
        } finally {
          await opened.close();
        }
      }
      const dataEnd = dataStart + record.compressedSize;
      await assertEntryEnd(cursor, record, dataEnd, next).catch(placed(name));
    }
  } finally {
    await cursor.close();
    await held.hold(0);
  }
}

/** An entry with what will become of it. */
export interface JudgedEntry {
  readonly record: ZipRecord;
  readonly name: string;
  readonly isWanted: boolean;
  /** Where the next entry, or the directory, begins. */
  readonly next: number;
}

function judge(
  records: readonly ZipRecord[],
  layout: Layout,
  options: ArchiveOptions,
  limits: ArchiveLimits,
): JudgedEntry[] {
  const names = createArchiveNames("zip", options, limits);
  const entries = records.map((record): JudgedEntry => {
    const { offset } = record;
    const next = layout.get(record) ?? 0;
    names.count(offset);
    const [given, ...others] =
      entryNames(
        record,
        damageOf("zip", () => offset),
      ) ?? [];
    if (given === undefined) {
      const raw = record.rawName.toString("latin1");
      throw unsafeEntry("zip", offset, "An entry's name is not UTF-8.", raw);
    }
    // Other readers may go by the other name: it has to be as safe.
    for (const other of others) names.directory(other, offset);
    if (isZipDirectory(record, given)) {
      names.directory(given, offset);
      return { record, name: given, isWanted: false, next };
    }
    const { name, isWanted } = names.file(given, offset);
    if (isWanted) assertReadable(record, name);
    if (isWanted && record.size > limits.maxEntryBytes) {
      throw new StageError(
        "decompress",
        "limit_exceeded",
        `An entry says that it has more bytes than maxEntryBytes = ${limits.maxEntryBytes}.`,
        { layers: [{ kind: "zip", offset }], entry: name },
      );
    }
    return { record, name, isWanted, next };
  });
  names.assertAnyFile();
  return entries;
}

/** Fills the entry's name into an error of this stage and throws it. */
function placed(name: string): (error: unknown) => never {
  return (error) => {
    throw error instanceof StageError && error.stage === "decompress"
      ? error.at({ entry: name })
      : error;
  };
}

async function* named(name: string, bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* bytes;
  } catch (error) {
    placed(name)(error);
  }
}
