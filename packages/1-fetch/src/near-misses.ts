import { type FilePattern, type PatternPart, toPatternText } from "./file-pattern.ts";
import { lastMatchIn, type Period } from "./match-key.ts";
import { type Variant, variantsOf } from "./pattern-variants.ts";

/** What would have to be changed of a pattern. */
export const PATTERN_EDITS = [
  "other_case",
  "other_separator",
  "other_date",
  "other_extension",
  "more_text",
  "more_folder",
  "fewer_folders",
] as const;
export type PatternEdit = (typeof PATTERN_EDITS)[number];

/** One change of a pattern, and the keys that it would find. */
export interface NearMiss {
  readonly edit: PatternEdit;
  /** The pattern after the change. */
  readonly pattern: string;
  readonly keys: readonly string[];
  /** The days of the keys, in order. */
  readonly days: readonly string[];
}

/** Changes that are told of. */
const MAX_TOLD = 10;

/**
 * The single changes of a pattern by which keys that it does not match would be matched, within a period:
 * those first that fill most of the days in `wantedDays`. A change that finds nothing which a better one
 * does not find is left out. Pure.
 */
export function nearMisses(
  pattern: FilePattern,
  keys: readonly string[],
  period: Period,
  wantedDays: ReadonlySet<string> = new Set(),
): NearMiss[] {
  const variants = variantsOf(pattern.parts);
  const found = new Map<string, { edit: PatternEdit; keys: Set<string>; days: Set<string> }>();
  for (const key of keys) {
    for (const variant of variants) {
      const hit = lastMatchIn(variant.parts, key, period, variant.fold);
      if (hit === undefined) continue;
      const parts = variant.toParts?.(hit.match.texts) ?? variant.parts;
      const text = toPatternText(parts);
      if (text === pattern.text || isVague(parts, variant)) continue;
      const entry = found.get(text) ?? { edit: variant.edit, keys: new Set(), days: new Set() };
      entry.keys.add(key);
      entry.days.add(hit.day);
      found.set(text, entry);
    }
  }
  const filled = ({ days }: { readonly days: ReadonlySet<string> }): number =>
    days.intersection(wantedDays).size;
  const inOrder = [...found].sort(
    ([, a], [, b]) =>
      filled(b) - filled(a) ||
      b.keys.size - a.keys.size ||
      PATTERN_EDITS.indexOf(a.edit) - PATTERN_EDITS.indexOf(b.edit),
  );
  const told: { text: string; edit: PatternEdit; keys: Set<string>; days: Set<string> }[] = [];
  for (const [text, entry] of inOrder) {
    if (told.some((better) => entry.keys.isSubsetOf(better.keys))) continue;
    told.push({ text, ...entry });
    if (told.length === MAX_TOLD) break;
  }
  return told.map(({ text, edit, keys: of, days }) => ({
    edit,
    pattern: text,
    keys: [...of].sort(),
    days: [...days].sort(),
  }));
}

/** A pattern that says nothing of a name any more would find anything. */
function isVague(parts: readonly PatternPart[], { edit }: Variant): boolean {
  if (edit !== "more_text") return false;
  return !parts.some((part) => part.kind === "literal" && /[A-Za-z0-9]/.test(part.text));
}
