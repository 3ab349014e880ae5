import { StageError } from "@sluice/errors";
import type { ManifestObject } from "@sluice/schema";
import { headObject } from "./head.ts";
import { listAll, listPage } from "./list.ts";
import { createDayFinder, type MatchingDays } from "./matching-days.ts";
import { fileNotFound } from "./missing-files.ts";
import { archiveByAnotherName, nearestKeys } from "./nearest-keys.ts";
import type { PassedOver } from "./passed-over.ts";
import { pinVersions } from "./pin-versions.ts";
import { type Target, toTargets } from "./plan-targets.ts";
import type { Store } from "./store.ts";

/** One file of a courier's fileset. Required unless it says that it is optional. */
export type Selection = SelectionFacts &
  (
    | { readonly kind: "key"; readonly key: string }
    | { readonly kind: "pattern"; readonly pattern: string }
  );

interface SelectionFacts {
  readonly isOptional?: boolean;
  /** Whether it has to be an archive: one by another name is told apart from one that is missing. */
  readonly isArchive?: boolean;
}

export interface PlanRequest {
  /** Stands before every key and pattern, as it is. Default: nothing. */
  readonly prefix?: string;
  readonly selections: readonly Selection[];
  /**
   * The days of the run, each `yyyy-mm-dd`; at least one. Or every day: each object that a selection can
   * match is found for the last day it can mean, what leaves the date open not after `until`.
   */
  readonly days: readonly string[] | { readonly until: string };
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
  readonly lastModified: Date;
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
  /** The archive that surely was meant, where one had to be. */
  readonly archiveByAnotherName?: string;
  /**
   * For which days there are files; absent for keys, patterns without a date, optional files of a run that found others,
   * and buckets that may not be listed.
   */
  readonly matchingDays?: MatchingDays;
}

export interface Plan {
  /** In order of day, then key, then selection. */
  readonly objects: readonly PlannedObject[];
  readonly missing: readonly MissingFile[];
  /** By selection; only those that passed something over. */
  readonly passedOver: readonly PassedOver[];
}

type Unnumbered = Omit<ManifestObject, "ordinal"> & { readonly lastModified: Date };

/** The most keys of a listing that are kept to suggest from. */
const MAX_CANDIDATES = 1000;

const SHOWN_MARKS = 3;

/**
 * Freezes what a run will read: each selection for each day. A selection that means the same on
 * several days (an exact key, a pattern without a day in it) counts once, for the last of them.
 *
 * Errors: `list.pattern_invalid`; `list.file_not_found` for a required selection without a match,
 * naming what was looked for, how much was seen there and what came nearest; `decompress.name_mismatch`
 * when an archive is there, but by another name; `connect.*`.
 */
export async function planObjects(store: Store, options: PlanRequest): Promise<Plan> {
  const found: { readonly selection: number; readonly object: Unnumbered }[] = [];
  const lacking: { readonly target: Target; readonly file: MissingFile }[] = [];
  const matchingDays = createDayFinder(store, options.prefix ?? "", options.signal);
  const passedOver = new Map<number, string[]>();
  for (const target of toTargets(options)) {
    const { objects, seenKeys, seenCount, marks } = await find(store, target, options.signal);
    if (marks.length > 0) {
      passedOver.set(target.selection, [...(passedOver.get(target.selection) ?? []), ...marks]);
    }
    found.push(...objects.map((object) => ({ selection: target.selection, object })));
    if (objects.length === 0) {
      const file = await explainMissing(store, target, seenKeys, seenCount, options.signal);
      const isArchive = options.selections[target.selection]?.isArchive ?? false;
      const other = isArchive ? archiveByAnotherName(file) : undefined;
      lacking.push({
        target,
        file: { ...file, ...(other === undefined ? {} : { archiveByAnotherName: other }) },
      });
    }
  }
  const missing: MissingFile[] = [];
  for (const { target, file } of lacking) {
    // An optional file may be missing every day: only what fails a run is worth a listing of all its days.
    const isWorthIt = !target.isOptional || found.length === 0;
    const days = isWorthIt ? await matchingDays(target.pattern, target.day) : undefined;
    missing.push({ ...file, ...(days === undefined ? {} : { matchingDays: days }) });
  }
  const required = missing.filter(({ isOptional }) => !isOptional);
  if (required.length > 0 && options.skipMissing !== true) {
    throw fileNotFound(store.bucket.name, required);
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
    objects: inOrder.map(({ selection, object: { lastModified, ...object } }, index) => ({
      selection,
      object: { ...object, ...pinned[index], ordinal: first + index },
      lastModified,
    })),
    missing,
    passedOver: [...passedOver].map(([selection, marks]) => {
      const keys = [...new Set(marks)];
      return { selection, keys: keys.length, examples: keys.slice(0, SHOWN_MARKS) };
    }),
  };
}

interface Found {
  readonly objects: readonly Unnumbered[];
  readonly seenKeys: readonly string[];
  readonly seenCount: number;
  /** Keys that are passed over. */
  readonly marks: readonly string[];
}

async function find(store: Store, target: Target, signal: AbortSignal | undefined): Promise<Found> {
  const { exactKey, expansion, day, dayOf } = target;
  const bucket = store.bucket.name;
  const abortable = signal === undefined ? {} : { signal };
  if (exactKey !== undefined) {
    try {
      const { key, etag, size, lastModified } = await headObject(store, exactKey, abortable);
      const objects = [{ bucket, key, etag, size, lastModified, date: day }];
      return { objects, seenKeys: [], seenCount: 0, marks: [] };
    } catch (error) {
      if (!(error instanceof StageError && error.code === "file_not_found")) throw error;
      return { objects: [], seenKeys: [], seenCount: 0, marks: [] };
    }
  }
  const objects: Unnumbered[] = [];
  const seenKeys: string[] = [];
  const marks: string[] = [];
  let seenCount = 0;
  const delimiter = expansion?.delimiter;
  for await (const { key, etag, size, lastModified } of listAll(store, {
    prefix: expansion?.prefix ?? "",
    ...(delimiter === undefined ? {} : { delimiter }),
    ...abortable,
  })) {
    seenCount++;
    const date = dayOf(key);
    if (date !== undefined) objects.push({ bucket, key, etag, size, lastModified, date });
    else if (target.isPassedOver(key)) marks.push(key);
    else if (seenKeys.length < MAX_CANDIDATES) seenKeys.push(key);
  }
  return { objects, seenKeys, seenCount, marks };
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

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
