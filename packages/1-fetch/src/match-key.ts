import type { PatternPart } from "./file-pattern.ts";
import { isFolderPattern, isMarkOfWriter } from "./passed-over.ts";

/** How a pattern fits a key, whatever the day. */
export interface KeyMatch {
  /** The digits of the date parts; absent where the pattern has no such part. */
  readonly year?: string;
  readonly month?: string;
  readonly day?: string;
  /** What each part of the pattern stands for in the key. */
  readonly texts: readonly string[];
}

const DIGITS = { year: 4, month: 2, day: 2 } as const;

/** Steps that fitting a pattern to a key may take: far more than any name with dates in it needs. */
const MAX_STEPS = 200_000;

const DAY_MS = 86_400_000;

/** Leap days are at most 8 years apart. */
const LOOK_BACK_DAYS = 2_923;

/**
 * The ways in which the parts fit the whole key, the shortest wildcards first: of those that go on alike from
 * one place on, the first. A date part that
 * comes twice has to say the same twice; a wildcard never takes a `/`.
 */
export function* matchKey(
  parts: readonly PatternPart[],
  key: string,
  /** What makes two texts of one length count as equal; every character by itself when not given. */
  fold: (text: string) => string = (text) => text,
): Generator<KeyMatch> {
  // A folder marker is no file, and a pattern of a folder means the files in it.
  if (key.endsWith("/")) return;
  const isFolder = isFolderPattern(parts);
  if (isFolder && isMarkOfWriter(key)) return;
  const wanted: readonly PatternPart[] = isFolder ? [...parts, { kind: "wildcard" }] : parts;
  let steps = 0;
  const visited = new Set<string>();

  function* from(index: number, at: number, match: KeyMatch): Generator<KeyMatch> {
    const { year = "", month = "", day = "" } = match;
    const place = `${index}/${at}/${year}-${month}-${day}`;
    if (visited.has(place) || ++steps > MAX_STEPS) return;
    visited.add(place);
    const part = wanted[index];
    if (part === undefined) {
      if (at === key.length) yield match;
      return;
    }
    const took = (text: string): KeyMatch => ({ ...match, texts: [...match.texts, text] });
    switch (part.kind) {
      case "literal": {
        const text = key.slice(at, at + part.text.length);
        if (fold(text) === fold(part.text)) yield* from(index + 1, at + text.length, took(text));
        return;
      }
      case "wildcard": {
        const slash = key.indexOf("/", at);
        const end = slash < 0 ? key.length : slash;
        for (let to = at; to <= end; to++) yield* from(index + 1, to, took(key.slice(at, to)));
        return;
      }
      default: {
        const text = key.slice(at, at + DIGITS[part.kind]);
        const isDate = /^\d+$/.test(text) && text.length === DIGITS[part.kind];
        if (!isDate || (match[part.kind] ?? text) !== text) return;
        yield* from(index + 1, at + text.length, { ...took(text), [part.kind]: text });
      }
    }
  }

  yield* from(0, 0, { texts: [] });
}

/**
 * The last day, `yyyy-mm-dd`, for which the parts filled in match the key; undefined when there is none.
 * Where the pattern leaves a part of the date open, days after `until` are not taken.
 */
export function lastDayOf(
  parts: readonly PatternPart[],
  key: string,
  until: string,
): string | undefined {
  let found: string | undefined;
  for (const match of matchKey(parts, key)) {
    const day = dayOfMatch(match, until);
    if (day !== undefined && (found === undefined || day > found)) found = day;
  }
  return found;
}

/** Some consecutive days: the first, and the day after the last. */
export interface Period {
  readonly start: string;
  readonly end: string;
}

/** As `lastDayOf`, of the days of a period alone; with the way in which the parts fit. */
export function lastMatchIn(
  parts: readonly PatternPart[],
  key: string,
  { start, end }: Period,
  fold?: (text: string) => string,
): { readonly day: string; readonly match: KeyMatch } | undefined {
  const until = new Date(Date.parse(end) - DAY_MS).toISOString().slice(0, 10);
  let found: { readonly day: string; readonly match: KeyMatch } | undefined;
  for (const match of matchKey(parts, key, fold)) {
    const day = dayOfMatch(match, until);
    if (day === undefined || day < start || day >= end) continue;
    if (found === undefined || day > found.day) found = { day, match };
  }
  return found;
}

/** The last day that a match can mean; see `lastDayOf`. */
function dayOfMatch({ year, month, day }: KeyMatch, today: string): string | undefined {
  if (year !== undefined && month !== undefined && day !== undefined) {
    const text = `${year}-${month}-${day}`;
    return isDay(text) ? text : undefined;
  }
  const fits = (text: string): boolean =>
    (year ?? text.slice(0, 4)) === text.slice(0, 4) &&
    (month ?? text.slice(5, 7)) === text.slice(5, 7) &&
    (day ?? text.slice(8)) === text.slice(8);
  const until = year === undefined || year === today.slice(0, 4) ? today : `${year}-12-31`;
  let time = Date.parse(until);
  if (Number.isNaN(time)) return undefined;
  for (let tried = 0; tried < LOOK_BACK_DAYS; tried++, time -= DAY_MS) {
    const text = new Date(time).toISOString().slice(0, 10);
    if (fits(text)) return text;
  }
  return undefined;
}

function isDay(text: string): boolean {
  const time = Date.parse(`${text}T00:00:00Z`);
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(text);
}
