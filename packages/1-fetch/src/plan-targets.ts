import {
  expandBelow,
  type FilePattern,
  type FilePatternExpansion,
  parseFilePattern,
} from "./file-pattern.ts";
import { lastDayOf } from "./match-key.ts";
import type { PlanRequest, Selection } from "./plan.ts";

/** What one selection looks for, and the last of the days for which that is the same. */
export interface Target {
  readonly selection: number;
  readonly day: string;
  readonly isOptional: boolean;
  readonly pattern: FilePattern | undefined;
  readonly expansion: Pick<FilePatternExpansion, "prefix" | "delimiter"> | undefined;
  /** The day that a listed key is for; undefined when it is none of the target's. */
  readonly dayOf: (key: string) => string | undefined;
  readonly exactKey: string | undefined;
  /** What all of its matches begin with, whatever the day. */
  readonly literalPrefix: string;
  readonly lookedFor: string;
}

/** What is looked for: a selection that means the same on several days once, for the last of them. */
export function toTargets({ prefix = "", selections, days }: PlanRequest): readonly Target[] {
  return selections.flatMap((selection, index) =>
    "until" in days
      ? [everyDayTarget(prefix, selection, index, days.until)]
      : dayTargets(prefix, selection, index, days),
  );
}

function dayTargets(
  prefix: string,
  selection: Selection,
  index: number,
  days: readonly string[],
): Target[] {
  const pattern = selection.kind === "pattern" ? parseFilePattern(selection.pattern) : undefined;
  const byMeaning = new Map<string, Target>();
  for (const day of [...new Set(days)].sort()) {
    const expansion = pattern && expandBelow(prefix, pattern.expand(day));
    const exactKey = selection.kind === "key" ? prefix + selection.key : expansion?.exactKey;
    const lookedFor = expansion?.text ?? exactKey ?? "";
    byMeaning.set(lookedFor, {
      selection: index,
      day,
      isOptional: selection.isOptional ?? false,
      pattern,
      expansion,
      dayOf: (key) => (expansion?.isMatch(key) === true ? day : undefined),
      exactKey,
      literalPrefix: pattern ? prefix + pattern.literalPrefix : (exactKey ?? ""),
      lookedFor,
    });
  }
  return [...byMeaning.values()];
}

function everyDayTarget(
  prefix: string,
  selection: Selection,
  index: number,
  until: string,
): Target {
  const of = { selection: index, day: until, isOptional: selection.isOptional ?? false };
  if (selection.kind === "key") {
    const exactKey = prefix + selection.key;
    const nothing = { pattern: undefined, expansion: undefined, dayOf: () => undefined };
    return { ...of, ...nothing, exactKey, literalPrefix: exactKey, lookedFor: exactKey };
  }
  const pattern = parseFilePattern(selection.pattern);
  const literalPrefix = prefix + pattern.literalPrefix;
  const { parts, isDated } = pattern;
  return {
    ...of,
    pattern,
    expansion: { prefix: literalPrefix, delimiter: undefined },
    dayOf: (key) =>
      key.startsWith(prefix) ? lastDayOf(parts, key.slice(prefix.length), until) : undefined,
    exactKey: isDated ? undefined : expandBelow(prefix, pattern.expand(until)).exactKey,
    literalPrefix,
    lookedFor: `${prefix}${selection.pattern}`,
  };
}
