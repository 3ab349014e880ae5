import { StageError } from "@sluice/errors";
import { type ArchiveLimits, type ArchiveOptions, overArchiveLimit } from "./archive-options.ts";

/** What becomes of one entry. */
export interface Judgement {
  /** The safe name. */
  readonly name: string;
  /** Whether its bytes are given; the others are passed over. */
  readonly isWanted: boolean;
}

/** Judges the names of one archive, each once and in order. */
export interface ArchiveNames {
  /** Counts one more entry of any kind; throws `limit_exceeded` when they are too many. */
  count(offset: number): void;
  /** Judges a file; throws `unsafe_entry` or `duplicate_entry`. */
  file(name: string, offset: number): Judgement;
  /** Checks the name of a directory, which is passed over. */
  directory(name: string, offset: number): void;
  /** Throws `empty_archive` when no file was judged. Called after the last entry. */
  assertAnyFile(): void;
}

/** Creates the judge of one archive's names. */
export function createArchiveNames(
  kind: "tar" | "zip",
  options: ArchiveOptions,
  limits: ArchiveLimits,
): ArchiveNames {
  const seen = new Set<string>();
  let entries = 0;

  const safe = (name: string, offset: number): string => {
    const reason = unsafeName(name, limits.maxNameBytes);
    if (reason === undefined) return canonicalName(name);
    throw unsafeEntry(kind, offset, `An entry's name ${reason}.`, name);
  };

  return {
    count(offset) {
      entries++;
      if (entries > limits.maxEntries) {
        throw overArchiveLimit(kind, offset, "It holds more entries than", "maxEntries", limits);
      }
    },
    file(given, offset) {
      const name = safe(given, offset);
      if (name === "") throw unsafeEntry(kind, offset, "An entry has no name.", given);
      if (isCompanion(name)) return { name, isWanted: false };
      if (seen.has(name)) {
        throw new StageError("decompress", "duplicate_entry", "Two entries have the same name.", {
          layers: [{ kind, offset }],
          entry: name,
        });
      }
      seen.add(name);
      return { name, isWanted: options.wants?.(name) ?? true };
    },
    directory: safe,
    assertAnyFile() {
      if (seen.size > 0) return;
      const what = entries === 0 ? "nothing" : "directories and the companion files of macOS";
      throw new StageError("decompress", "empty_archive", `The ${kind} archive holds no file.`, {
        layers: [{ kind }],
        seen: what,
        expected: "at least one file",
      });
    },
  };
}

/** The error for an entry that is not opened because of its name or kind. */
export function unsafeEntry(
  kind: "tar" | "zip",
  offset: number,
  message: string,
  name: string,
): StageError<"decompress"> {
  // Unlike safe names, which are kept as they are, this one may hold anything: quoted and cut.
  const seen = JSON.stringify(name.slice(0, 100));
  return new StageError("decompress", "unsafe_entry", message, {
    layers: [{ kind, offset }],
    seen,
  });
}

/** Why a name is not safe, as the rest of a sentence; undefined for a safe one. Nothing is written by these names, but what they are matched with, and who reads them in reports, may. */
function unsafeName(name: string, maxNameBytes: number): string | undefined {
  if (Buffer.byteLength(name) > maxNameBytes) {
    return `is longer than maxNameBytes = ${maxNameBytes} bytes`;
  }
  if (name.includes("\0")) return "has a NUL character";
  if (name.includes("\\")) return "has a backslash";
  if (name.startsWith("/")) return "is an absolute path";
  if (/^[A-Za-z]:/.test(name)) return "begins with a drive letter";
  if (name.split("/").includes("..")) return "leads out of the archive by `..`";
  return undefined;
}

/** One name for one place: `./a//b` is `a/b`, so that duplicates are found and selections match. */
const canonicalName = (name: string): string =>
  name
    .split("/")
    .filter((segment) => segment !== "" && segment !== ".")
    .join("/");

/** The files that macOS packs beside the user's own: Finder's settings, and AppleDouble's resource forks. */
function isCompanion(name: string): boolean {
  const segments = name.split("/");
  const last = segments.at(-1) ?? "";
  return segments[0] === "__MACOSX" || last === ".DS_Store" || last.startsWith("._");
}
