import { StageError } from "@sluice/errors";
import type { WorkingMemory } from "@sluice/streams";

/** How far an archive may go. */
export interface ArchiveLimits {
  /** Entries, directories and passed over ones included. Default 10,000. */
  readonly maxEntries: number;
  /** UTF-8 bytes of an entry's name. Default 1,024; a longer one is `unsafe_entry`. */
  readonly maxNameBytes: number;
  /** Bytes of one entry; in a zip, of one that is wanted. Default 256 GiB. */
  readonly maxEntryBytes: number;
  /** Bytes of all entries that are read. Default 1 TiB. */
  readonly maxOutputBytes: number;
  /** zip: output bytes per compressed byte, once more than `ratioFromBytes` came out. Default 1,100: deflate cannot pass 1,032 to 1. */
  readonly maxRatio: number;
  /** zip: output bytes up to which entries may compress as they like. Default 1 GiB. */
  readonly ratioFromBytes: number;
  /** zip: bytes of the central directory, which is held in memory. Default 64 MiB. */
  readonly maxDirectoryBytes: number;
  /** tar: bytes of one pax header or one long name, held in memory. Default 1 MiB. */
  readonly maxHeaderBytes: number;
}

export interface ArchiveOptions extends Partial<ArchiveLimits> {
  /**
   * Whether an entry is wanted; the others are passed over without being inflated. Called once for each
   * file, in the archive's order, with the entry's safe name. Default: every file is wanted.
   */
  readonly wants?: (name: string) => boolean;
  /** Holds a zip's directory. Default: nobody keeps account. */
  readonly memory?: WorkingMemory;
}

export const ARCHIVE_LIMITS: ArchiveLimits = {
  maxEntries: 10_000,
  maxNameBytes: 1024,
  maxEntryBytes: 2 ** 38,
  maxOutputBytes: 2 ** 40,
  maxRatio: 1100,
  ratioFromBytes: 2 ** 30,
  maxDirectoryBytes: 2 ** 26,
  maxHeaderBytes: 2 ** 20,
};

/** The limits of these options; what is not set has its default. */
export function archiveLimits({ wants: _, memory: __, ...given }: ArchiveOptions): ArchiveLimits {
  return { ...ARCHIVE_LIMITS, ...given };
}

/** The error that a limit was passed; it names the option. `subject` begins the sentence. */
export function overArchiveLimit(
  kind: "tar" | "zip",
  offset: number,
  subject: string,
  option: keyof ArchiveLimits,
  limits: ArchiveLimits,
): StageError {
  return new StageError(
    "decompress",
    "limit_exceeded",
    `${subject} ${option} = ${limits[option]}.`,
    { layers: [{ kind, offset }] },
  );
}
