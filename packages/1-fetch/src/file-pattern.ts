import { StageError } from "@sluice/errors";
import { isMarkOfWriter } from "./passed-over.ts";

/** A pattern filled in for one day. */
export interface FilePatternExpansion {
  /** What every matching key begins with: the listing's prefix. */
  readonly prefix: string;
  /** `/` when no match can lie below the prefix's own folder, so that the listing need not go there. */
  readonly delimiter: "/" | undefined;
  /** The one key that can match, when the expansion has no wildcard. */
  readonly exactKey: string | undefined;
  /** The expansion itself, `*` standing for the wildcard. */
  readonly text: string;
  isMatch(key: string): boolean;
}

/** The same expansion with `start` before every key, character by character: nothing in it is a wildcard. */
export function expandBelow(start: string, expansion: FilePatternExpansion): FilePatternExpansion {
  const { prefix, delimiter, exactKey, text } = expansion;
  return {
    prefix: start + prefix,
    delimiter,
    exactKey: exactKey === undefined ? undefined : start + exactKey,
    text: start + text,
    isMatch: (key) => key.startsWith(start) && expansion.isMatch(key.slice(start.length)),
  };
}

/** A file pattern: literals, date parts and wildcards. */
export interface FilePattern {
  readonly text: string;
  /** Whether the expansion differs between days. */
  readonly isDated: boolean;
  /** The literal text before the first date part or wildcard. */
  readonly literalPrefix: string;
  readonly parts: readonly PatternPart[];
  /** `day` is `yyyy-mm-dd`; anything else, or a day that no calendar has, is a RangeError. */
  expand(day: string): FilePatternExpansion;
}

/** A piece of a pattern. Two literals never stand side by side. */
export type PatternPart =
  | { readonly kind: "literal"; readonly text: string }
  | { readonly kind: "wildcard" }
  | { readonly kind: "year" | "month" | "day" };

const DATE_PARTS: ReadonlyMap<string, "year" | "month" | "day"> = new Map([
  ["yyyy", "year"],
  // Joda's YYYY is the year of the era; the week-year that java.time means by it is never meant here.
  ["YYYY", "year"],
  ["MM", "month"],
  ["dd", "day"],
]);

const DATE_LETTERS = { year: "yyyy", month: "MM", day: "dd" } as const;

/**
 * Parses the file pattern language (REQUIREMENTS CO-9). Text in single quotes stands for itself, a
 * doubled quote for one quote; outside quotes `yyyy`, `MM` and `dd` are the day's year, month and
 * day, other letters are refused, everything else stands for itself. `*`, quoted or not, is any
 * number of characters but never a `/`. A pattern that ends in `/` means every file directly below
 * that folder, but for those whose names begin with `_` or `.`. Throws `list.pattern_invalid` with the position, counted in characters from 1.
 */
export function parseFilePattern(text: string): FilePattern {
  const parts = toParts(text);
  if (parts.length === 0) throw invalid(text, 1, "the pattern is empty");
  const firstOpen = parts.findIndex((part) => part.kind !== "literal");
  const literals = firstOpen < 0 ? parts : parts.slice(0, firstOpen);
  return {
    text,
    isDated: parts.some((part) => part.kind !== "literal" && part.kind !== "wildcard"),
    literalPrefix: literals.map((part) => (part.kind === "literal" ? part.text : "")).join(""),
    parts,
    expand: (day) => expand(parts, day),
  };
}

/** The text of a pattern of these parts: what could be read as something else stands in quotes. */
export function toPatternText(parts: readonly PatternPart[]): string {
  let text = "";
  let fixed = "";
  const close = (): void => {
    const isPlain = !/[A-Za-z']/.test(fixed);
    text += isPlain ? fixed : `'${fixed.replaceAll("'", "''")}'`;
    fixed = "";
  };
  for (const part of parts) {
    if (part.kind === "literal") fixed += part.text;
    else if (part.kind === "wildcard") fixed += "*";
    else {
      close();
      text += DATE_LETTERS[part.kind];
    }
  }
  close();
  return text;
}

function toParts(text: string): PatternPart[] {
  const parts: PatternPart[] = [];
  let literal = "";
  const close = (): void => {
    if (literal !== "") parts.push({ kind: "literal", text: literal });
    literal = "";
  };
  const wildcard = (): void => {
    close();
    // Two in a row match what one matches.
    if (parts.at(-1)?.kind !== "wildcard") parts.push({ kind: "wildcard" });
  };

  let openedAt = -1;
  for (let at = 0; at < text.length; at++) {
    const character = text.charAt(at);
    if (character === "'" && text.charAt(at + 1) === "'") {
      literal += "'";
      at++;
    } else if (character === "'") {
      openedAt = openedAt < 0 ? at : -1;
    } else if (character === "*") {
      wildcard();
    } else if (openedAt < 0 && /[A-Za-z]/.test(character)) {
      let end = at + 1;
      while (text.charAt(end) === character) end++;
      const run = text.slice(at, end);
      const kind = DATE_PARTS.get(run);
      if (kind === undefined) {
        throw invalid(text, at + 1, `"${run}" is no date part; quote text that stands for itself`);
      }
      close();
      parts.push({ kind });
      at = end - 1;
    } else {
      literal += character;
    }
  }
  if (openedAt >= 0) throw invalid(text, openedAt + 1, "the quote that opens here is never closed");
  close();
  return parts;
}

function expand(parts: readonly PatternPart[], day: string): FilePatternExpansion {
  const date = toDateParts(day);
  // Runs of literal text between wildcards: n wildcards leave n + 1 of them.
  const runs = [""];
  for (const part of parts) {
    if (part.kind === "wildcard") runs.push("");
    else runs.push(`${runs.pop()}${part.kind === "literal" ? part.text : date[part.kind]}`);
  }
  const text = runs.join("*");
  const isFolder = text.endsWith("/");
  const template = isFolder ? `${text}*` : text;
  const segments = template.split("/").map((segment) => segment.split("*"));
  const prefix = template.split("*", 1)[0] ?? "";
  return {
    prefix,
    delimiter: template.slice(prefix.length).includes("/") ? undefined : "/",
    exactKey: prefix === template ? template : undefined,
    text: template,
    isMatch: (key) => !(isFolder && isMarkOfWriter(key)) && isMatch(segments, key),
  };
}

/** Segment by segment, so that a wildcard cannot cross a `/`; a folder marker is no file. */
function isMatch(segments: readonly (readonly string[])[], key: string): boolean {
  const names = key.split("/");
  if (names.length !== segments.length || names.at(-1) === "") return false;
  return segments.every((runs, index) => isSegmentMatch(runs, names[index] ?? ""));
}

/** Taking each middle run at its first place is enough: it leaves the most room for the rest. */
function isSegmentMatch(runs: readonly string[], name: string): boolean {
  const first = runs[0] ?? "";
  if (runs.length === 1) return name === first;
  const last = runs[runs.length - 1] ?? "";
  if (name.length < first.length + last.length) return false;
  if (!name.startsWith(first) || !name.endsWith(last)) return false;
  const end = name.length - last.length;
  let at = first.length;
  for (const run of runs.slice(1, -1)) {
    const found = name.indexOf(run, at);
    if (found < 0 || found + run.length > end) return false;
    at = found + run.length;
  }
  return true;
}

function toDateParts(day: string): Readonly<Record<"year" | "month" | "day", string>> {
  const [, year, month, dayOfMonth] = /^(\d{4})-(\d{2})-(\d{2})$/.exec(day) ?? [];
  const time = Date.parse(`${day}T00:00:00Z`);
  if (
    year === undefined ||
    month === undefined ||
    dayOfMonth === undefined ||
    Number.isNaN(time) ||
    !new Date(time).toISOString().startsWith(day)
  ) {
    throw new RangeError(`"${day}" is not a day written yyyy-mm-dd`);
  }
  return { year, month, day: dayOfMonth };
}

function invalid(text: string, position: number, why: string): StageError<"list"> {
  return new StageError("list", "pattern_invalid", `file pattern, character ${position}: ${why}`, {
    seen: text,
    expected: "quoted text, yyyy, MM, dd and *",
  });
}
