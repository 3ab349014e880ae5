import { StageError } from "@sluice/errors";
import { parseFilePattern } from "@sluice/fetch";
import type { EntrySettings, FileSettings } from "@sluice/schema";

/** Which entries of an archive are opened, and how. */
export interface EntrySelector {
  /** Whether an entry is opened. Also how the selector learns of the entries that are there. */
  readonly wants: (name: string) => boolean;
  /** How an entry is opened, and by which tag; undefined for one that is passed over. */
  settingsOf(name: string): { readonly tag: string; readonly settings: FileSettings } | undefined;
  /** Throws `decompress.entry_missing`, naming everything, when a required entry was not there. */
  assertComplete(): void;
  /** The optional entries that were not there, in words. */
  absent(): string[];
}

/**
 * Goes by the first specification that selects a name, those that name it before those that have a pattern for it.
 * `day` is the object's, `yyyy-mm-dd`: the dates in patterns.
 */
export function selectEntries(
  entries: readonly EntrySettings[],
  day: string | undefined,
): EntrySelector {
  const seen = new Set<EntrySettings>();
  const candidates = entries.map((entry) => ({ entry, isMatch: matcherOf(entry, day) }));
  const ordered = candidates.toSorted((a, b) => rank(a.entry) - rank(b.entry));
  const find = (name: string): EntrySettings | undefined =>
    ordered.find(({ isMatch }) => isMatch(name))?.entry;
  const missing = (isOptional: boolean): string[] =>
    entries
      .filter((entry) => !seen.has(entry) && entry.isOptional === isOptional)
      .map(({ selection }) => describe(selection));

  return {
    wants(name) {
      const entry = find(name);
      if (entry !== undefined) seen.add(entry);
      return entry?.isLoaded ?? false;
    },
    settingsOf(name) {
      const entry = find(name);
      return entry?.isLoaded ? { tag: entry.tag, settings: entry.settings } : undefined;
    },
    assertComplete() {
      const absent = missing(false);
      if (absent.length === 0) return;
      const message = `The archive does not hold ${absent.join(", ")}.`;
      throw new StageError("decompress", "entry_missing", message, { expected: absent.join(", ") });
    },
    absent: () => missing(true).map((what) => `the optional ${what} is not in the archive`),
  };
}

function matcherOf(
  { selection }: EntrySettings,
  day: string | undefined,
): (name: string) => boolean {
  switch (selection.kind) {
    case "every":
      return () => true;
    case "name":
      return (name) => name === selection.name;
    case "pattern": {
      const expansion = parseFilePattern(selection.pattern).expand(day ?? "1970-01-01");
      return (name) => expansion.isMatch(name);
    }
  }
}

function rank({ selection }: EntrySettings): number {
  return selection.kind === "name" ? 0 : 1;
}

function describe(selection: EntrySettings["selection"]): string {
  switch (selection.kind) {
    case "every":
      return "any file";
    case "name":
      return `entry ${JSON.stringify(selection.name)}`;
    case "pattern":
      return `entry for the pattern ${selection.pattern}`;
  }
}
