import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type {
  MatchingDaysSchema,
  MissingFileSchema,
} from "@sluice/api/control/v1/workflow_file_pb";
import type { FindObjectsResponseSchema } from "@sluice/api/ingest/v1/inspect_service_pb";
import {
  type Lease,
  type ListResultSchema,
  type ListWork,
  type ManifestObject,
  ManifestObjectSchema,
} from "@sluice/api/ingest/v1/task_pb";
import { TaskService } from "@sluice/api/ingest/v1/task_service_pb";
import { crashPoint, StageError } from "@sluice/errors";
import {
  fileNotFound,
  type MatchingDays,
  type MissingFile,
  nothingFound,
  type Plan,
  passedOverInWords,
  type Selection,
} from "@sluice/fetch";
import {
  createShadowStaging,
  createStaging,
  lookAtDomainTable,
  prepareDomainTable,
} from "@sluice/load";
import type { IngestConfig } from "./config.ts";
import { toFeed } from "./from-proto.ts";
import { toConnection } from "./load-work.ts";
import { openSource } from "./open-source.ts";
import { toStageFailure } from "./to-proto.ts";
import type { WorkerContext } from "./worker.ts";

/** Objects in one AppendManifest: with keys of 1,024 bytes the message stays under 4 MiB. */
const MANIFEST_PAGE = 2_000;

/** Missing files that are told; with three keys of 1,024 bytes each the message stays under 4 MiB. */
const MAX_MISSING = 500;

/** Objects of a plan: with keys of 1,024 bytes the answer stays under 32 MiB. */
const MAX_PLANNED = 20_000;

/**
 * Finds the objects of a run, tells control of each, and makes the tables that the loads will need. A
 * file that is required and not there is `list.file_not_found`, and then no table is made. What control knows to be
 * loaded already makes no load: staging tables are made when it says that a feed wants them (`withStaging`), or at
 * once where nothing is passed over.
 */
export async function listObjects(
  lease: Lease,
  work: ListWork,
  context: WorkerContext,
  signal: AbortSignal,
): Promise<MessageInitShape<typeof ListResultSchema>> {
  if (work.replayRejects) {
    const rejects = create(ManifestObjectSchema, { fileTag: "rejects" });
    return await listGiven(lease, work, [rejects], context, signal);
  }
  if (work.shadow) return await listGiven(lease, work, work.pinned, context, signal);
  const { taskId, attempt } = lease;
  const { objects, missing, plan } = await findObjects(work, context, signal);
  const feeds = work.feeds.map(toFeed);
  // While control keeps the manifest. What fails here is asked again, and told, when it is needed.
  const looks = feeds.map((feed) =>
    lookAtDomainTable(context.warehouse, feed).catch(() => undefined),
  );
  for (let page = 0; page === 0 || page * MANIFEST_PAGE < objects.length; page++) {
    const some = objects.slice(page * MANIFEST_PAGE, (page + 1) * MANIFEST_PAGE);
    await context.client.call(
      TaskService.method.appendManifest,
      { taskId, attempt, page, objects: some, missing: page === 0 ? missing : [] },
      { timeoutMs: 30_000, signal },
    );
  }
  crashPoint("worker-manifest-told");
  assertComplete(plan, work);
  const staged: string[] = [];
  for (const [at, feed] of feeds.entries()) {
    const shape = await prepareDomainTable(context.warehouse, feed, await looks[at]);
    if (!work.loadsEverything) continue;
    await createStaging(context.warehouse, feed, lease.workflowId, shape);
    staged.push(feed.id);
  }
  if (work.loadsEverything) crashPoint("worker-staging-created");
  return {
    objects: BigInt(objects.length),
    warnings: [...toWarnings(plan), ...passedOver(plan, work)],
    staged: { feedIds: staged },
  };
}

/** The same result once the feeds that control named have staging tables. */
export async function withStaging(
  { work, workflowId }: Lease,
  result: MessageInitShape<typeof ListResultSchema>,
  feedIds: readonly string[],
  { warehouse }: WorkerContext,
): Promise<MessageInitShape<typeof ListResultSchema>> {
  const feeds = work.case === "list" ? work.value.feeds.map(toFeed) : [];
  const staged = [...(result.staged?.feedIds ?? [])];
  for (const feedId of feedIds) {
    const feed = feeds.find(({ id }) => id === feedId);
    if (feed === undefined || staged.includes(feedId)) {
      throw new Error(
        `control wants staging tables of ${feedId}, which the listing has not, or has told of`,
      );
    }
    await createStaging(warehouse, feed, workflowId, await prepareDomainTable(warehouse, feed));
    staged.push(feedId);
  }
  crashPoint("worker-staging-created");
  const { objects = 0n, warnings = [] } = result;
  return { objects, warnings, staged: { feedIds: staged } };
}

/** What a listing found, in the words of the API. */
interface FoundObjects {
  readonly plan: Plan;
  readonly objects: MessageInitShape<typeof ManifestObjectSchema>[];
  readonly missing: MessageInitShape<typeof MissingFileSchema>[];
}

async function findObjects(
  work: ListWork,
  { config, platformSessions }: Pick<WorkerContext, "config" | "platformSessions">,
  signal: AbortSignal,
): Promise<FoundObjects> {
  await using source = openSource(toConnection(work.connection), config, { platformSessions });
  const found = await source.plan({
    prefix: work.prefix,
    selections: toSelections(work.selections),
    days: work.everythingUntil === "" ? work.dates : { until: work.everythingUntil },
    skipMissing: true,
    signal,
  });
  const plan = work.anyDay ? onceIsEnough(found) : found;
  return {
    plan,
    missing: plan.missing.slice(0, MAX_MISSING).map((file) => toMissing(file, work)),
    objects: plan.objects.map(({ selection, object, lastModified }) => ({
      bucket: object.bucket,
      key: object.key,
      etag: object.etag,
      versionId: object.versionId ?? "",
      size: BigInt(object.size),
      date: object.date ?? "",
      fileTag: work.selections[selection]?.fileTag ?? "",
      modifyTime: timestampFromDate(lastModified),
    })),
  };
}

/** What a run would find, and what it would fail with. */
export async function findForPlan(
  work: ListWork,
  config: IngestConfig,
  signal: AbortSignal,
): Promise<MessageInitShape<typeof FindObjectsResponseSchema>> {
  const { plan, objects, missing } = await findObjects(work, { config }, signal);
  const found = {
    objects: objects.slice(0, MAX_PLANNED),
    missing,
    complete: objects.length <= MAX_PLANNED,
    warnings: passedOver(plan, work),
  };
  try {
    assertComplete(plan, work);
    return found;
  } catch (error) {
    if (!(error instanceof StageError)) throw error;
    return { ...found, failure: toStageFailure(error.toFailure()) };
  }
}

/** A file that was found on one day is not lacked on the others. */
function onceIsEnough({ objects, missing, passedOver }: Plan): Plan {
  const found = new Set(objects.map(({ selection }) => selection));
  return {
    objects,
    passedOver,
    missing: missing.map((file) =>
      found.has(file.selection) ? { ...file, isOptional: true } : file,
    ),
  };
}

/** Control knows by now what is missing: the failure says it in words. */
function assertComplete({ objects, missing }: Plan, work: ListWork): void {
  const bucket = work.connection?.bucket ?? "";
  const required = missing.filter(({ isOptional }) => !isOptional);
  if (required.length > 0) throw fileNotFound(bucket, required);
  if (objects.length === 0 && missing.length > 0 && !work.mayBeEmpty) {
    throw nothingFound(bucket, missing);
  }
}

function toMissing(
  file: MissingFile,
  { selections }: ListWork,
): MessageInitShape<typeof MissingFileSchema> {
  const { selection, day, lookedFor, isOptional, listedKeys, listedPrefix, nearest } = file;
  return {
    fileTag: selections[selection]?.fileTag ?? "",
    date: day,
    lookedFor,
    optional: isOptional,
    listedKeys: BigInt(listedKeys),
    listedPrefix,
    nearestKeys: [...nearest],
    ...(file.matchingDays && { matchingDays: toMatchingDays(file.matchingDays) }),
  };
}

function toMatchingDays(days: MatchingDays): MessageInitShape<typeof MatchingDaysSchema> {
  const { oldest = "", newest = "", nearest, isComplete: complete } = days;
  return { oldest, newest, nearest: [...nearest], complete };
}

/**
 * A replay has one object, which has no name: it stands for the reject table. A shadow load has the objects of
 * earlier loads.
 */
async function listGiven(
  lease: Lease,
  work: ListWork,
  objects: readonly ManifestObject[],
  context: WorkerContext,
  signal: AbortSignal,
): Promise<MessageInitShape<typeof ListResultSchema>> {
  const { taskId, attempt } = lease;
  await context.client.call(
    TaskService.method.appendManifest,
    { taskId, attempt, page: 0, objects: [...objects] },
    { timeoutMs: 30_000, signal },
  );
  await prepareTables(lease, work, context);
  return { objects: BigInt(objects.length) };
}

async function prepareTables(
  { workflowId }: Lease,
  work: ListWork,
  { warehouse }: WorkerContext,
): Promise<void> {
  for (const feed of work.feeds.map(toFeed)) {
    if (work.shadow) {
      await createShadowStaging(warehouse, feed, workflowId);
      continue;
    }
    await createStaging(warehouse, feed, workflowId, await prepareDomainTable(warehouse, feed));
  }
}

function toSelections(selections: ListWork["selections"]): Selection[] {
  return selections.map(({ selection, optional: isOptional, archive: isArchive }): Selection => {
    const is = { isOptional, isArchive };
    if (selection.case === "key") return { kind: "key", key: selection.value, ...is };
    if (selection.case !== "pattern") throw new Error("a selection names neither key nor pattern");
    return { kind: "pattern", pattern: selection.value, ...is };
  });
}

function toWarnings({ missing }: Plan): string[] {
  return missing.map(({ lookedFor, day }) => `${lookedFor} is not there for ${day}`);
}

function passedOver(plan: Plan, { selections }: ListWork): string[] {
  return plan.passedOver.map((each) => {
    const pattern = selections[each.selection]?.selection.value ?? "";
    return passedOverInWords(each, pattern);
  });
}
