import { StageError } from "@sluice/errors";
import type { FilePattern } from "./file-pattern.ts";
import { listAll } from "./list.ts";
import { lastDayOf } from "./match-key.ts";
import type { Store } from "./store.ts";

/** The days for which a pattern finds files. */
export interface MatchingDays {
  /** Both absent when there is none at all. */
  readonly oldest?: string;
  readonly newest?: string;
  /** The days nearest to the one that was asked for, in order; at most 6. */
  readonly nearest: readonly string[];
  /** Whether every key was looked at. */
  readonly isComplete: boolean;
}

/** Keys that are looked at to tell for which days there are files. */
const MAX_KEYS = 10_000;

const NEAREST = 6;

/**
 * Tells for which days a pattern would find files, from one listing of each pattern. Undefined for a
 * pattern without a date, and where our role may not list.
 */
export function createDayFinder(
  store: Store,
  prefix: string,
  signal: AbortSignal | undefined,
): (pattern: FilePattern | undefined, day: string) => Promise<MatchingDays | undefined> {
  const known = new Map<string, Promise<AllDays | undefined>>();
  return async (pattern, day) => {
    if (pattern?.isDated !== true) return undefined;
    let days = known.get(pattern.text);
    if (days === undefined) {
      days = daysOf(store, prefix, pattern, signal);
      known.set(pattern.text, days);
    }
    const found = await days;
    return found && nearestDays(found.days, day, found.isComplete);
  };
}

interface AllDays {
  readonly days: readonly string[];
  readonly isComplete: boolean;
}

async function daysOf(
  store: Store,
  prefix: string,
  pattern: FilePattern,
  signal: AbortSignal | undefined,
): Promise<AllDays | undefined> {
  const today = new Date().toISOString().slice(0, 10);
  const days = new Set<string>();
  let keys = 0;
  try {
    const request = { prefix: prefix + pattern.literalPrefix, ...(signal && { signal }) };
    for await (const { key } of listAll(store, request)) {
      if (++keys > MAX_KEYS) return { days: [...days].sort(), isComplete: false };
      const day = lastDayOf(pattern.parts, key.slice(prefix.length), today);
      if (day !== undefined) days.add(day);
    }
    return { days: [...days].sort(), isComplete: true };
  } catch (error) {
    // Exact keys can be read without the right to list; then there is nothing to tell.
    if (error instanceof StageError && error.code === "access_denied") return undefined;
    throw error;
  }
}

/** `days` in order. */
function nearestDays(days: readonly string[], day: string, isComplete: boolean): MatchingDays {
  const [oldest] = days;
  const newest = days.at(-1);
  if (oldest === undefined || newest === undefined) return { nearest: [], isComplete };
  const distance = (other: string): number => Math.abs(Date.parse(other) - Date.parse(day));
  const nearest = days
    .toSorted((a, b) => distance(a) - distance(b) || (a < b ? -1 : 1))
    .slice(0, NEAREST)
    .sort();
  return { oldest, newest, nearest, isComplete };
}
