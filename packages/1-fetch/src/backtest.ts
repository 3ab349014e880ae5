import type { ListedObject } from "@sluice/schema";
import { parseFilePattern } from "./file-pattern.ts";
import { lastDayOf, lastMatchIn, type Period } from "./match-key.ts";
import { type NearMiss, nearMisses } from "./near-misses.ts";
import { asOrdinary, isFolderPattern, isMarkOfWriter } from "./passed-over.ts";

export interface BacktestRequest {
  /** Stands before every key, as it is. */
  readonly prefix: string;
  readonly pattern: string;
  readonly period: Period;
  /** What else is looked for in the bucket, by others. */
  readonly others: readonly { readonly prefix: string; readonly pattern: string }[];
  /** Every object below a prefix, in the order of keys. */
  readonly list: (prefix: string) => AsyncIterable<ListedObject>;
}

/** What a pattern finds for a day. */
export interface DayHits {
  readonly day: string;
  readonly keys: number;
  /** Of all of them. */
  readonly bytes: number;
  /** The first 20. */
  readonly objects: readonly ListedObject[];
}

/** What a pattern would have found, and what it would have missed. */
export interface Backtest {
  /** In order; only days with files. */
  readonly days: readonly DayHits[];
  /** Days of the period without a file; none for a pattern without a date. */
  readonly emptyDays: readonly string[];
  readonly nearMisses: readonly NearMiss[];
  /** Keys that the pattern finds and one of the others, by the other's index, would find too. */
  readonly overlaps: readonly { readonly other: number; readonly keys: readonly string[] }[];
  /** Keys in the folder that the pattern means which a run passes over. */
  readonly passedOverKeys: number;
  /** Keys that were looked at. */
  readonly listedKeys: number;
  /** Whether every key below the pattern's beginning was looked at, and every other one of the prefix. */
  readonly isComplete: boolean;
}

/** Keys below the pattern's own beginning that are looked at. */
const MAX_KEYS = 200_000;

/** Keys that are looked at for what the pattern misses. */
const MAX_OTHER_KEYS = 20_000;

const SHOWN_OBJECTS = 20;
const DAY_MS = 86_400_000;

/** Tries a pattern on a real listing for each day of a period. Throws `list.pattern_invalid`. */
export async function backtest(request: BacktestRequest): Promise<Backtest> {
  const { prefix, period, list } = request;
  const pattern = parseFilePattern(request.pattern);
  const others = request.others.map((other) => ({
    prefix: other.prefix,
    parts: parseFilePattern(other.pattern).parts,
  }));
  const hits = new Map<string, { keys: number; bytes: number; objects: ListedObject[] }>();
  const overlaps = new Map<number, string[]>();
  const missed: string[] = [];
  const isFolder = isFolderPattern(pattern.parts);
  let passedOverKeys = 0;
  let listedKeys = 0;
  let isComplete = true;

  const start = prefix + pattern.literalPrefix;
  for await (const object of list(start)) {
    if (++listedKeys > MAX_KEYS) {
      isComplete = false;
      break;
    }
    const key = object.key.slice(prefix.length);
    const hit = lastMatchIn(pattern.parts, key, period);
    const isPassedOver = isFolder && hit === undefined && isMarkOfWriter(key);
    if (isPassedOver && lastMatchIn(pattern.parts, asOrdinary(key), period) !== undefined) {
      passedOverKeys++;
      continue;
    }
    if (hit === undefined) {
      if (missed.length < MAX_OTHER_KEYS) missed.push(key);
      continue;
    }
    const day = hits.get(hit.day) ?? { keys: 0, bytes: 0, objects: [] };
    day.keys++;
    day.bytes += object.size;
    if (day.objects.length < SHOWN_OBJECTS) day.objects.push(object);
    hits.set(hit.day, day);
    for (const [index, other] of others.entries()) {
      if (!object.key.startsWith(other.prefix)) continue;
      if (lastDayOf(other.parts, object.key.slice(other.prefix.length), hit.day) === undefined) {
        continue;
      }
      const keys = overlaps.get(index) ?? [];
      keys.push(object.key);
      overlaps.set(index, keys);
    }
  }
  let otherKeys = 0;
  for await (const { key } of list(prefix)) {
    if (key.startsWith(start)) continue;
    if (++otherKeys > MAX_OTHER_KEYS) {
      isComplete = false;
      break;
    }
    missed.push(key.slice(prefix.length));
  }
  const emptyDays = pattern.isDated ? daysOf(period).filter((day) => !hits.has(day)) : [];
  return {
    days: [...hits]
      .map(([day, { keys, bytes, objects }]) => ({ day, keys, bytes, objects }))
      .sort((a, b) => (a.day < b.day ? -1 : 1)),
    emptyDays,
    nearMisses: nearMisses(pattern, missed, period, new Set(emptyDays)),
    overlaps: [...overlaps].map(([other, keys]) => ({ other, keys })),
    passedOverKeys,
    listedKeys: Math.min(listedKeys, MAX_KEYS) + Math.min(otherKeys, MAX_OTHER_KEYS),
    isComplete,
  };
}

function daysOf({ start, end }: Period): string[] {
  const days: string[] = [];
  for (let time = Date.parse(start); time < Date.parse(end); time += DAY_MS) {
    days.push(new Date(time).toISOString().slice(0, 10));
  }
  return days;
}
