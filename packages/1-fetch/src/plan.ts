import { StageError } from "@sluice/errors";
import type { ManifestObject } from "@sluice/schema";
import { expandBelow, type FilePatternExpansion, parseFilePattern } from "./file-pattern.ts";
import { headObject } from "./head.ts";
import { listAll, listPage } from "./list.ts";
import { nearestKeys } from "./nearest-keys.ts";
import { pinVersions } from "./pin-versions.ts";
import type { Store } from "./store.ts";

/** One file of a courier's fileset. Required unless it says that it is optional. */
export type Selection =
  | { readonly kind: "key"; readonly key: string; readonly isOptional?: boolean }
  | { readonly kind: "pattern"; readonly pattern: string; readonly isOptional?: boolean };

export interface PlanRequest {
  /** Stands before every key and pattern, as it is. Default: nothing. */
  readonly prefix?: string;
  readonly selections: readonly Selection[];
  /** The days of the run, each `yyyy-mm-dd`; at least one. */
  readonly days: readonly string[];
  /** The first object's ordinal. Default: 1. */
  readonly firstOrdinal?: number;
  /** Reports required files that are missing, instead of throwing: a person has said to go on without. */
  readonly skipMissing?: boolean;
  readonly signal?: AbortSignal;
}

export interface PlannedObject {
  /** Index of the selection that it was matched by. */
  readonly selection: number;
  readonly object: ManifestObject;
}

/** What a selection looked for on a day and did not find. */
export interface MissingFile {
  readonly selection: number;
  readonly day: string;
  /** The key, or the pattern filled in for the day. */
  readonly lookedFor: string;
  readonly isOptional: boolean;
  /** How many keys were seen where it should have been, and under which prefix. */
  readonly listedKeys: number;
  readonly listedPrefix: string;
  /** At most 3 keys that were seen there, the most similar first. */
  readonly nearest: readonly string[];
}

export interface Plan {
  /** In order of day, then key, then selection. */
  readonly objects: readonly PlannedObject[];
  readonly missing: readonly MissingFile[];
}

/** What one selection looks for, and the last of the days for which that is the same. */
interface Target {
  readonly selection: number;
  readonly day: string;
  readonly isOptional: boolean;
  readonly expansion: FilePatternExpansion | undefined;
  readonly exactKey: string | undefined;
  /** What all of its matches begin with, whatever the day. */
  readonly literalPrefix: string;
  readonly lookedFor: string;
}

type Unnumbered = Omit<ManifestObject, "ordinal">;

/** The most keys of a listing that are kept to suggest from. */
const MAX_CANDIDATES = 1000;

/**
 * Freezes what a run will read: each selection for each day. A selection that means the same on
 * several days (an exact key, a pattern without a day in it) counts once, for the last of them.
 *
 * Errors: `list.pattern_invalid`; `list.file_not_found` for a required selection without a match,
 * naming what was looked for, how much was seen there and what came nearest; `connect.*`.
 */
export async function planObjects(store: Store, options: PlanRequest): Promise<Plan> {
  const found: { readonly selection: number; readonly object: Unnumbered }[] = [];
  const missing: MissingFile[] = [];
  for (const target of toTargets(options)) {
    const { objects, seenKeys, seenCount } = await find(store, target, options.signal);
    found.push(...objects.map((object) => ({ selection: target.selection, object })));
    if (objects.length === 0) {
      missing.push(await explainMissing(store, target, seenKeys, seenCount, options.signal));
    }
  }
  const required = missing.filter(({ isOptional }) => !isOptional);
  if (required[0] !== undefined && options.skipMissing !== true) {
    throw fileNotFound(store, required[0], required.length - 1);
  }
  const inOrder = withoutRepeats(found).sort(
    (a, b) =>
      compare(a.object.date ?? "", b.object.date ?? "") ||
      compare(a.object.key, b.object.key) ||
      a.selection - b.selection,
  );
  const pinned = await pinVersions(
    store,
    inOrder.map(({ object }) => object),
    options.signal,
  );
  const first = options.firstOrdinal ?? 1;
  return {
    objects: inOrder.map(({ selection, object }, index) => ({
      selection,
      object: { ...object, ...pinned[index], ordinal: first + index },
    })),
    missing,
  };
}

function toTargets({ prefix = "", selections, days }: PlanRequest): readonly Target[] {
  const inOrder = [...new Set(days)].sort();
  const targets: Target[] = [];
  for (const [index, selection] of selections.entries()) {
    const pattern = selection.kind === "pattern" ? parseFilePattern(selection.pattern) : undefined;
    const byMeaning = new Map<string, Target>();
    for (const day of inOrder) {
      const expansion = pattern && expandBelow(prefix, pattern.expand(day));
      const exactKey = selection.kind === "key" ? prefix + selection.key : expansion?.exactKey;
      const lookedFor = expansion?.text ?? exactKey ?? "";
      byMeaning.set(lookedFor, {
        selection: index,
        day,
        isOptional: selection.isOptional ?? false,
        expansion,
        exactKey,
        literalPrefix: pattern ? prefix + pattern.literalPrefix : (exactKey ?? ""),
        lookedFor,
      });
    }
    targets.push(...byMeaning.values());
  }
  return targets;
}

interface Found {
  readonly objects: readonly Unnumbered[];
  readonly seenKeys: readonly string[];
  readonly seenCount: number;
}

async function find(store: Store, target: Target, signal: AbortSignal | undefined): Promise<Found> {
  const { exactKey, expansion, day } = target;
  const bucket = store.bucket.name;
  const abortable = signal === undefined ? {} : { signal };
  if (exactKey !== undefined) {
    try {
      const { key, etag, size } = await headObject(store, exactKey, abortable);
      const objects = [{ bucket, key, etag, size, date: day }];
      return { objects, seenKeys: [], seenCount: 0 };
    } catch (error) {
      if (!(error instanceof StageError && error.code === "file_not_found")) throw error;
      return { objects: [], seenKeys: [], seenCount: 0 };
    }
  }
  const objects: Unnumbered[] = [];
  const seenKeys: string[] = [];
  let seenCount = 0;
  const delimiter = expansion?.delimiter;
  for await (const { key, etag, size } of listAll(store, {
    prefix: expansion?.prefix ?? "",
    ...(delimiter === undefined ? {} : { delimiter }),
    ...abortable,
  })) {
    seenCount++;
    if (expansion?.isMatch(key)) objects.push({ bucket, key, etag, size, date: day });
    else if (seenKeys.length < MAX_CANDIDATES) seenKeys.push(key);
  }
  return { objects, seenKeys, seenCount };
}

/** Two days of one selection may match one key (`*dd*`): it is loaded once, for the later day. */
function withoutRepeats(
  found: readonly { readonly selection: number; readonly object: Unnumbered }[],
): { readonly selection: number; readonly object: Unnumbered }[] {
  return [
    ...new Map(found.map((entry) => [`${entry.selection}/${entry.object.key}`, entry])).values(),
  ];
}

async function explainMissing(
  store: Store,
  target: Target,
  seenKeys: readonly string[],
  seenCount: number,
  signal: AbortSignal | undefined,
): Promise<MissingFile> {
  const { selection, day, lookedFor, isOptional, expansion, literalPrefix } = target;
  const facts = { selection, day, lookedFor, isOptional };
  if (seenCount > 0) {
    const nearest = nearestKeys(lookedFor, seenKeys, 3);
    return { ...facts, listedKeys: seenCount, listedPrefix: expansion?.prefix ?? "", nearest };
  }
  // Nothing begins that way: one page of the folder shows what lies there instead.
  const listedPrefix = literalPrefix.slice(0, literalPrefix.lastIndexOf("/") + 1);
  try {
    const { objects } = await listPage(store, {
      prefix: listedPrefix,
      ...(signal === undefined ? {} : { signal }),
    });
    const nearest = nearestKeys(
      lookedFor,
      objects.map(({ key }) => key),
      3,
    );
    return { ...facts, listedKeys: objects.length, listedPrefix, nearest };
  } catch (error) {
    // An exact key can be read without the right to list; then there is nothing to suggest.
    if (!(error instanceof StageError && error.code === "access_denied")) throw error;
    return { ...facts, listedKeys: 0, listedPrefix, nearest: [] };
  }
}

function fileNotFound(store: Store, file: MissingFile, others: number): StageError<"list"> {
  const { lookedFor, day, listedKeys, listedPrefix, nearest } = file;
  const where = listedPrefix === "" ? "in the bucket" : `under ${listedPrefix}`;
  const count = listedKeys >= 1000 ? `${listedKeys} keys or more` : `${listedKeys} keys`;
  const sentences = [
    `no object matches ${lookedFor} for ${day}; ${count} were listed ${where}`,
    ...(nearest.length > 0 ? [`the nearest are ${nearest.join(", ")}`] : []),
    ...(others > 0 ? [`${others} more required files are missing`] : []),
  ];
  return new StageError("list", "file_not_found", sentences.join("; "), {
    bucket: store.bucket.name,
    key: lookedFor,
    seen: `${count} ${where}`,
    expected: lookedFor,
  });
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
