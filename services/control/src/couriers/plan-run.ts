import { create } from "@bufbuild/protobuf";
import {
  type PlanRunRequest,
  PlanRunRequestSchema,
} from "@sluice/api/control/v1/courier_service_pb";
import {
  type PlannedDay,
  PlannedDaySchema,
  type PlannedFeed,
  PlannedFeedSchema,
  type PlannedLook,
  type RunPlan,
  RunPlanSchema,
} from "@sluice/api/control/v1/run_plan_pb";
import { type WorkflowFile, WorkflowFileSchema } from "@sluice/api/control/v1/workflow_file_pb";
import type { FindObjectsResponse } from "@sluice/api/ingest/v1/inspect_service_pb";
import type { ManifestObject } from "@sluice/api/ingest/v1/task_pb";
import type { ControlContext } from "../context.ts";
import { connectionOf } from "../credentials/credential-access.ts";
import { lookAtFile } from "../sources/look-at-file.ts";
import { completeFailure } from "../stage-failure.ts";
import { daysOfRun } from "../workflow/days.ts";
import { listWork } from "../workflow/lease-work.ts";
import { fileTagsOfFeed, type Plan } from "../workflow/plan.ts";
import { readPlan } from "../workflow/run-courier.ts";
import { type TriedListing, tryListing } from "../workflow/try-listing.ts";

const SHOWN_FILES = 1000;
const DEFAULT_LOOKS = 4;

/** What a run found, tried and not done. */
interface Outlook {
  readonly plan: Plan;
  readonly listing: FindObjectsResponse;
  readonly tried: TriedListing;
}

/**
 * What RunCourier would find and do with the same scope and options. Its errors are those of RunCourier; what would
 * fail later stands in the answer.
 */
export async function planRun(
  context: ControlContext,
  request: PlanRunRequest,
  now: Date = new Date(),
): Promise<RunPlan> {
  const tenant = context.tenant();
  const { skipMissingFiles, ingestOnly, reloadUnchanged } = request;
  const days = daysOfRun(request.scope, now, { request: PlanRunRequestSchema });
  const everything = request.scope.case === "everything";
  const plan = await context.kysely
    .transaction()
    .execute((trx) => readPlan(trx, tenant, request.id));
  const connection = await connectionOf(context, plan.courier.credentialId);
  const list = { ...listWork(plan, { ...days, everything, skipMissingFiles }), connection };
  const listing = await context.inspect.call((client, options) =>
    client.findObjects({ list }, options),
  );
  const options = { skipMissingFiles, everything, ingestOnly, reloadUnchanged };
  const tried = await tryListing(context.kysely, tenant, { days, options, plan }, listing.objects);
  const outlook: Outlook = { plan, listing, tried };
  const looks: PlannedLook[] = [];
  for (const [object, feedId] of sampleOf(outlook, request.maxLooks || DEFAULT_LOOKS)) {
    looks.push(await lookAtFile(context, plan, connection, object, feedId));
  }
  const failures = [listing.failure, ...looks.map((look) => look.failure)];
  return create(RunPlanSchema, {
    days: plannedDays(outlook),
    files: listing.objects
      .slice(0, SHOWN_FILES)
      .map((object, place) => toFile(object, tried, place)),
    missing: listing.missing,
    feeds: plan.feeds.map(({ feedId }) => plannedFeed(outlook, feedId, looks)),
    looks,
    failures: failures.flatMap((failure) =>
      failure === undefined ? [] : [completeFailure(failure)],
    ),
    warnings: [...listing.warnings, ...tried.warnings],
    complete: listing.complete,
  });
}

/** The objects that would be loaded into a feed. */
function loadsOf({ plan, listing, tried }: Outlook, feedId: string): ManifestObject[] {
  const tags = fileTagsOfFeed(plan, feedId);
  return listing.objects.filter(
    ({ fileTag }, place) =>
      tags.includes(fileTag) && !(tried.unchanged.get(place) ?? []).includes(feedId),
  );
}

/** Files to look at, by turns of all feeds and file specifications, the newest of each first. */
function sampleOf(outlook: Outlook, maxLooks: number): [ManifestObject, string][] {
  const queues = outlook.plan.feeds.flatMap(({ feedId }) => {
    const loads = loadsOf(outlook, feedId).reverse();
    const tags = new Set(loads.map(({ fileTag }) => fileTag));
    return [...tags].map((tag) => ({
      feedId,
      objects: loads.filter(({ fileTag }) => fileTag === tag),
    }));
  });
  const sample: [ManifestObject, string][] = [];
  for (let turn = 0; sample.length < maxLooks; turn++) {
    const taken = queues.flatMap(({ feedId, objects }): [ManifestObject, string][] => {
      const object = objects[turn];
      return object === undefined ? [] : [[object, feedId]];
    });
    if (taken.length === 0) break;
    sample.push(...taken.slice(0, maxLooks - sample.length));
  }
  return sample;
}

function plannedDays({ plan, listing, tried }: Outlook): PlannedDay[] {
  const days = new Map<string, PlannedDay>();
  const dayOf = (date: string): PlannedDay => {
    const day = days.get(date) ?? create(PlannedDaySchema, { date });
    days.set(date, day);
    return day;
  };
  for (const [place, object] of listing.objects.entries()) {
    const day = dayOf(object.date);
    day.matched++;
    day.bytes += object.size;
    const feeds = plan.feeds.filter(({ feedId }) =>
      fileTagsOfFeed(plan, feedId).includes(object.fileTag),
    );
    const unchanged = tried.unchanged.get(place)?.length ?? 0;
    if (feeds.length > 0 && unchanged === feeds.length) day.unchanged++;
  }
  for (const { date } of listing.missing) dayOf(date).missing++;
  return [...days.values()].sort((a, b) => (a.date < b.date ? -1 : 1));
}

function plannedFeed(outlook: Outlook, feedId: string, looks: readonly PlannedLook[]): PlannedFeed {
  const loads = loadsOf(outlook, feedId);
  const bytes = loads.reduce((sum, { size }) => sum + size, 0n);
  const seen = looks.filter((look) => look.feedId === feedId && look.bytesRead > 0n);
  const seenRows = seen.reduce((sum, { rows }) => sum + rows, 0n);
  const seenBytes = seen.reduce((sum, { bytesRead }) => sum + bytesRead, 0n);
  return create(PlannedFeedSchema, {
    feedId,
    files: BigInt(loads.length),
    unchanged: BigInt(outlook.tried.found.get(feedId)?.unchanged ?? 0),
    bytes,
    predictedRows: seenBytes === 0n ? 0n : (seenRows * bytes) / seenBytes,
  });
}

function toFile(object: ManifestObject, tried: TriedListing, place: number): WorkflowFile {
  const { key, size, etag, modifyTime, versionId, date, fileTag } = object;
  return create(WorkflowFileSchema, {
    object: { key, size, etag, ...(modifyTime && { modifyTime }) },
    versionId,
    date,
    fileTag,
    unchangedFeedIds: [...(tried.unchanged.get(place) ?? [])],
  });
}
