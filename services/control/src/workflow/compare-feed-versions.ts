import { create, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { type Courier, CourierSchema } from "@sluice/api/control/v1/courier_pb";
import {
  type CompareFeedVersionsRequest,
  CompareFeedVersionsRequestSchema,
} from "@sluice/api/control/v1/feed_service_pb";
import {
  type FeedVersion,
  FeedVersionSchema,
  type ManifestObject,
  ManifestObjectSchema,
} from "@sluice/api/ingest/v1/task_pb";
import { feedIdOf } from "../couriers/courier-feeds.ts";
import { readFeed } from "../feeds/feed-rows.ts";
import { activeVersion, beginOnce, type NewWorkflow } from "./begin-workflow.ts";
import type { EngineContext, Trx } from "./context.ts";
import { nextDay } from "./days.ts";
import { explicitFeedSpec } from "./feed-version.ts";
import { planFromJson, queryOf } from "./plan.ts";

const DEFAULT_MAX_FILES = 10;

/**
 * Starts a shadow load: a workflow whose list is given the files that were loaded last, whose loads stage them by the
 * feed's draft, and which compares where others publish. Gives its id; with a request id that was used before, the first
 * one's. NOT_FOUND without the feed, FAILED_PRECONDITION without a changed draft or without files.
 */
export async function compareFeedVersions(
  context: EngineContext,
  request: CompareFeedVersionsRequest,
  now: Date = new Date(),
): Promise<{ readonly workflowId: string }> {
  const call = {
    method: "CompareFeedVersions",
    requestId: request.requestId,
    body: toBinary(CompareFeedVersionsRequestSchema, { ...request, requestId: "" }),
  };
  const startDate = now.toISOString().slice(0, 10);
  const workflowId = await beginOnce(context, call, async (trx, tenant) => ({
    days: { startDate, endDate: nextDay(startDate) },
    options: {},
    plan: await planOf(trx, tenant, request),
  }));
  return { workflowId };
}

async function planOf(
  trx: Trx,
  tenant: string,
  { feedId, courierId, maxFiles }: CompareFeedVersionsRequest,
): Promise<NewWorkflow["plan"]> {
  const active = await activeVersion(trx, tenant, feedId);
  const draft = await draftVersion(trx, tenant, active);
  const last = await lastLoad(trx, tenant, feedId, courierId);
  const objects =
    last === undefined
      ? []
      : await lastFiles(trx, tenant, feedId, last.courier, maxFiles || DEFAULT_MAX_FILES);
  if (last === undefined || objects.length === 0) {
    throw new ConnectError(
      courierId === ""
        ? "no courier has loaded this feed yet: there are no files to compare with"
        : "courier_id: this courier has not loaded the feed yet: there are no files to compare with",
      Code.FailedPrecondition,
    );
  }
  const courier = create(CourierSchema, {
    ...last.courier,
    loads: last.courier.loads.filter((load) => feedIdOf(load) === feedId),
  });
  return { courier, feeds: [draft], comparison: { active, objects } };
}

async function draftVersion(trx: Trx, tenant: string, active: FeedVersion): Promise<FeedVersion> {
  const { draft } = await readFeed(trx, tenant, active.feedId);
  if (draft === undefined) {
    throw new ConnectError(
      `feed ${active.source}.${active.name} has no changed draft to compare: change it by UpdateFeed first`,
      Code.FailedPrecondition,
    );
  }
  return create(FeedVersionSchema, {
    ...active,
    version: active.version + 1,
    spec: explicitFeedSpec(draft),
  });
}

/** The courier of the feed's last load, as it was then. */
async function lastLoad(
  trx: Trx,
  tenant: string,
  feedId: string,
  courierId: string,
): Promise<{ readonly courier: Courier } | undefined> {
  const row = await trx
    .selectFrom("load_record")
    .innerJoin("workflow", (join) =>
      join
        .onRef("workflow.tenant", "=", "load_record.tenant")
        .onRef("workflow.id", "=", "load_record.workflow_id"),
    )
    .select("workflow.plan")
    .where("load_record.tenant", "=", tenant)
    .where("load_record.feed_id", "=", feedId)
    .where("workflow.courier_id", "<>", "")
    .$if(courierId !== "", (query) => query.where("workflow.courier_id", "=", courierId))
    .orderBy("load_record.number", "desc")
    .limit(1)
    .executeTakeFirst();
  if (row === undefined) return undefined;
  const plan = planFromJson(row.plan);
  if (queryOf(plan, feedId) !== undefined) {
    throw new ConnectError(
      "the feed is filled by an ingest query: a shadow load has no files whose columns are the feed's",
      Code.FailedPrecondition,
    );
  }
  return { courier: plan.courier };
}

/** The files that a courier loaded into a feed, the last ones, each once, in the order in which they were loaded. */
async function lastFiles(
  trx: Trx,
  tenant: string,
  feedId: string,
  courier: Courier,
  maxFiles: number,
): Promise<ManifestObject[]> {
  const rows = await trx
    .selectFrom("task")
    .innerJoin("manifest_object as object", (join) =>
      join
        .onRef("object.tenant", "=", "task.tenant")
        .onRef("object.workflow_id", "=", "task.workflow_id")
        .onRef("object.page", "=", "task.page")
        .onRef("object.position", "=", "task.position"),
    )
    .innerJoin("load_record", (join) =>
      join
        .onRef("load_record.tenant", "=", "task.tenant")
        .onRef("load_record.workflow_id", "=", "task.workflow_id")
        .onRef("load_record.feed_id", "=", "task.feed_id"),
    )
    .innerJoin("workflow", (join) =>
      join
        .onRef("workflow.tenant", "=", "task.tenant")
        .onRef("workflow.id", "=", "task.workflow_id"),
    )
    .selectAll("object")
    .where("task.tenant", "=", tenant)
    .where("task.feed_id", "=", feedId)
    .where("task.kind", "=", "load")
    .where("workflow.courier_id", "=", courier.id)
    .where(
      "object.file_tag",
      "in",
      courier.files.map(({ tag }) => tag),
    )
    .orderBy("task.object_ordinal", "desc")
    // A file that was loaded again and again counts once; more repetitions than this are not looked through.
    .limit(maxFiles * 20)
    .execute();
  const newest = new Map<string, (typeof rows)[number]>();
  for (const row of rows) if (!newest.has(row.key)) newest.set(row.key, row);
  return [...newest.values()]
    .slice(0, maxFiles)
    .reverse()
    .map((row) =>
      create(ManifestObjectSchema, {
        bucket: row.bucket,
        key: row.key,
        etag: row.etag,
        versionId: row.version_id,
        size: BigInt(row.size),
        date: row.date,
        fileTag: row.file_tag,
      }),
    );
}
