import {
  expandBelow,
  type FilePattern,
  type FilePatternExpansion,
  parseFilePattern,
} from "./file-pattern.ts";
import { lastDayOf } from "./match-key.ts";
import { asOrdinary, isFolderPattern, isMarkOfWriter } from "./passed-over.ts";
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
  /** Whether a listed key is passed over in the folder that the target is. */
  readonly isPassedOver: (key: string) => boolean;
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
    const dayOf: Target["dayOf"] = (key) => (expansion?.isMatch(key) === true ? day : undefined);
    byMeaning.set(lookedFor, {
      selection: index,
      day,
      isOptional: selection.isOptional ?? false,
      pattern,
      expansion,
      dayOf,
      isPassedOver: passesOver(pattern, dayOf),
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
    const nothing = {
      pattern: undefined,
      expansion: undefined,
      dayOf: () => undefined,
      isPassedOver: () => false,
    };
    return { ...of, ...nothing, exactKey, literalPrefix: exactKey, lookedFor: exactKey };
  }
  const pattern = parseFilePattern(selection.pattern);
  const literalPrefix = prefix + pattern.literalPrefix;
  const { parts, isDated } = pattern;
  const dayOf: Target["dayOf"] = (key) =>
    key.startsWith(prefix) ? lastDayOf(parts, key.slice(prefix.length), until) : undefined;
  return {
    ...of,
    pattern,
    expansion: { prefix: literalPrefix, delimiter: undefined },
    dayOf,
    isPassedOver: passesOver(pattern, dayOf),
    exactKey: isDated ? undefined : expandBelow(prefix, pattern.expand(until)).exactKey,
    literalPrefix,
    lookedFor: `${prefix}${selection.pattern}`,
  };
}

function passesOver(
  pattern: FilePattern | undefined,
  dayOf: Target["dayOf"],
): Target["isPassedOver"] {
  if (pattern === undefined || !isFolderPattern(pattern.parts)) return () => false;
  return (key) => isMarkOfWriter(key) && dayOf(asOrdinary(key)) !== undefined;
}
