import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { LoadOperation } from "@sluice/api/control/v1/courier_pb";
import type { TableChange } from "@sluice/api/ingest/v1/table_change_pb";
import {
  CheckpointSchema,
  type CompareWork,
  CompareWorkSchema,
  ConnectionSchema,
  type DiscardWork,
  DiscardWorkSchema,
  type IngestQueryWork,
  IngestQueryWorkSchema,
  type Lease,
  LeaseSchema,
  ListWorkSchema,
  type LoadObjectWork,
  LoadObjectWorkSchema,
  type LoadUnitWork,
  LoadUnitWorkSchema,
  type ManifestObject,
  ManifestObjectSchema,
  type PgpKeys,
  type PublishWork,
  PublishWorkSchema,
  type ReplayRejectsWork,
  ReplayRejectsWorkSchema,
  SelectionSchema,
  SentObjectSchema,
} from "@sluice/api/ingest/v1/task_pb";
import { type Selectable, sql } from "kysely";
import { feedIdOf } from "../couriers/courier-feeds.ts";
import { partsOf, pgpCredentialsOf } from "../couriers/courier-files.ts";
import type { ManifestObjectTable } from "../database/schema.ts";
import { stitchFeedsOf } from "../feeds/stitch-feeds.ts";
import type { EngineContext, TaskRow, WorkflowRow } from "./context.ts";
import { type Days, daysOf } from "./days.ts";
import { newestChange, undoRefusal } from "./load-records.ts";
import { OBJECT_OF_TASK } from "./object-of-task.ts";
import {
  type Comparison,
  entryTagsOfFeed,
  feedOf,
  type Plan,
  planFromJson,
  queryOf,
} from "./plan.ts";
import { toPublishIntent } from "./publish-intent.ts";

/**
 * A claimed task, or several that are loaded together, with all that a worker needs, secrets included: they are opened
 * here and kept nowhere.
 */
export async function leaseFor(
  context: EngineContext,
  tasks: readonly TaskRow[],
  expireTime: Date,
): Promise<Lease> {
  const [task] = tasks;
  if (task === undefined) throw new Error("a lease of nothing");
  const workflow = await context.kysely
    .selectFrom("workflow")
    .selectAll()
    .where("tenant", "=", task.tenant)
    .where("id", "=", task.workflow_id)
    .executeTakeFirstOrThrow();
  return create(LeaseSchema, {
    taskId: task.id,
    attempt: task.attempt,
    workflowId: task.workflow_id,
    expireTime: timestampFromDate(expireTime),
    traceParent: context.traceParentOf(task.workflow_id),
    work:
      task.unit === null
        ? await workOf(context, task, workflow, planFromJson(workflow.plan))
        : { case: "loadUnit", value: await unitWork(context, tasks, planFromJson(workflow.plan)) },
  });
}

/** What is opened alike is opened by what the first one needs. */
async function unitWork(
  context: EngineContext,
  tasks: readonly TaskRow[],
  plan: Plan,
): Promise<LoadUnitWork> {
  const [first] = tasks;
  if (first === undefined) throw new Error("a unit of nothing");
  const { rows: objects } = await sql<Selectable<ManifestObjectTable> & { task_id: string }>`
    select object.*, task.id as task_id from task cross join ${OBJECT_OF_TASK}
    where task.tenant = ${first.tenant} and task.workflow_id = ${first.workflow_id}
      and task.unit = ${first.unit}`.execute(context.kysely);
  const byTask = new Map(objects.map((object) => [object.task_id, object]));
  return create(LoadUnitWorkSchema, {
    common: await loadWork(context, first, plan),
    tasks: tasks.map((task) => {
      const object = byTask.get(task.id);
      if (object === undefined) throw new Error(`task ${task.id} has no object`);
      return { taskId: task.id, attempt: task.attempt, object: toObject(object, task) };
    }),
  });
}

async function workOf(
  context: EngineContext,
  task: TaskRow,
  workflow: WorkflowRow,
  plan: Plan,
): Promise<Lease["work"]> {
  switch (task.kind) {
    case "list":
      if (plan.replayOf !== undefined) {
        const value = create(ListWorkSchema, { feeds: [...plan.feeds], replayRejects: true });
        return { case: "list", value };
      }
      if (plan.comparison !== undefined) {
        const pinned = [...plan.comparison.objects];
        const value = create(ListWorkSchema, { feeds: [...plan.feeds], pinned, shadow: true });
        return { case: "list", value };
      }
      return {
        case: "list",
        value: create(ListWorkSchema, {
          ...listWork(plan, {
            startDate: workflow.start_date,
            endDate: workflow.end_date,
            everything: workflow.everything,
            skipMissingFiles: workflow.skip_missing_files,
          }),
          connection: await context.secrets.connection(plan.courier.credentialId),
          feeds: [...plan.feeds],
          loadsEverything: workflow.reload_unchanged,
        }),
      };
    case "load":
      if (plan.replayOf !== undefined) {
        return { case: "replayRejects", value: await replayWork(context, task, plan) };
      }
      if (task.variant === "query") {
        return { case: "ingestQuery", value: await queryWork(context, task, plan) };
      }
      return { case: "loadObject", value: await loadWork(context, task, plan) };
    case "publish":
      if (plan.comparison !== undefined) {
        return { case: "compare", value: await compareWork(context, task, plan.comparison, plan) };
      }
      return { case: "publish", value: await publishWork(context, task, plan) };
    case "discard":
      return { case: "discard", value: await discardWork(context, task, plan) };
  }
}

async function queryWork(
  context: EngineContext,
  task: TaskRow,
  plan: Plan,
): Promise<IngestQueryWork> {
  const feed = feedOf(plan, task.feed_id);
  const query = queryOf(plan, feed.feedId);
  if (query === undefined) throw new Error(`the plan has no query for feed ${feed.feedId}`);
  const files = await context.kysely
    .selectFrom("task")
    .select(["key", "done_rows"])
    .where("tenant", "=", task.tenant)
    .where("workflow_id", "=", task.workflow_id)
    .where("feed_id", "=", feed.feedId)
    .where("variant", "=", "query_file")
    .where("state", "=", "succeeded")
    .orderBy("number")
    .execute();
  return create(IngestQueryWorkSchema, {
    feed,
    query,
    ordinal: BigInt(task.object_ordinal ?? 0),
    sent: files.map(({ key, done_rows }) =>
      create(SentObjectSchema, { key, rows: BigInt(done_rows) }),
    ),
  });
}

async function compareWork(
  context: EngineContext,
  task: TaskRow,
  { active }: Comparison,
  plan: Plan,
): Promise<CompareWork> {
  const draft = feedOf(plan, task.feed_id);
  const sent = await sentFor(context, task, draft.feedId);
  return create(CompareWorkSchema, { draft, active, sent });
}

/** What a run of a courier looks for. */
export function listWork(
  { courier, anyDay }: Plan,
  run: Days & { readonly everything: boolean; readonly skipMissingFiles: boolean },
): MessageInitShape<typeof ListWorkSchema> {
  return {
    prefix: courier.prefix,
    selections: courier.files.map((file) =>
      create(SelectionSchema, {
        fileTag: file.tag,
        selection: file.selection,
        optional: file.optional || run.skipMissingFiles,
        archive: file.settings?.archive !== undefined,
      }),
    ),
    ...(run.everything
      ? { everythingUntil: run.startDate }
      : { dates: daysOf(run.startDate, run.endDate) }),
    mayBeEmpty: run.skipMissingFiles,
    anyDay: anyDay ?? false,
  };
}

async function discardWork(
  { kysely }: EngineContext,
  { tenant, workflow_id }: TaskRow,
  plan: Plan,
): Promise<DiscardWork> {
  const uploads = await kysely
    .selectFrom("replacement")
    .select("key")
    .where("tenant", "=", tenant)
    .where("workflow_id", "=", workflow_id)
    .execute();
  return create(DiscardWorkSchema, {
    feeds: [...plan.feeds],
    uploadKeys: uploads.map(({ key }) => key),
  });
}

async function loadWork(
  context: EngineContext,
  task: TaskRow,
  plan: Plan,
): Promise<LoadObjectWork> {
  const object = await context.kysely
    .selectFrom("manifest_object")
    .selectAll()
    .where("tenant", "=", task.tenant)
    .where("workflow_id", "=", task.workflow_id)
    .where("page", "=", task.page)
    .where("position", "=", task.position)
    .executeTakeFirstOrThrow();
  const file = plan.courier.files.find((candidate) => candidate.tag === object.file_tag);
  if (file?.settings === undefined) throw new Error(`the plan has no file ${object.file_tag}`);
  const parts = partsOf(plan.courier).filter(({ fileTag }) => fileTag === file.tag);
  const pgpKeys: Record<string, PgpKeys> = {};
  for (const id of pgpCredentialsOf(parts)) pgpKeys[id] = await context.secrets.pgpKeys(id);
  const feed = feedOf(plan, task.feed_id);
  const ingestQuery = queryOf(plan, feed.feedId);
  return create(LoadObjectWorkSchema, {
    ...(ingestQuery === undefined ? {} : { ingestQuery }),
    connection:
      object.replacement_id === null
        ? await context.secrets.connection(plan.courier.credentialId)
        : create(ConnectionSchema, { access: { case: "platform", value: {} } }),
    object: toObject(object, task),
    skip: task.is_skipped,
    settings: file.settings,
    pgpKeys,
    feed,
    entryTags: entryTagsOfFeed(plan, feed.feedId, file.tag),
    checkpoint: create(CheckpointSchema, {
      batches: BigInt(task.done_batches),
      rows: BigInt(task.done_rows),
      rejectedRows: BigInt(task.done_rejected_rows),
    }),
  });
}

function toObject(object: Selectable<ManifestObjectTable>, task: TaskRow): ManifestObject {
  return create(ManifestObjectSchema, {
    bucket: object.bucket,
    key: object.key,
    etag: object.etag,
    versionId: object.version_id,
    size: BigInt(object.size),
    date: object.date,
    ordinal: BigInt(task.object_ordinal ?? 0),
    fileTag: object.file_tag,
    readKey: object.read_key,
    generation: task.generation,
  });
}

async function publishWork(
  context: EngineContext,
  task: TaskRow,
  plan: Plan,
): Promise<PublishWork> {
  const feed = feedOf(plan, task.feed_id);
  const intent = await context.kysely
    .selectFrom("publish_intent")
    .select(["staging_uuid", "rows_uuid", "rows_before"])
    .where("tenant", "=", task.tenant)
    .where("task_id", "=", task.id)
    .executeTakeFirst();
  return create(PublishWorkSchema, {
    feed,
    operation: plan.courier.loads.find((load) => feedIdOf(load) === feed.feedId)?.operation ?? 0,
    ...(intent === undefined ? {} : { intent: toPublishIntent(intent) }),
    ...(plan.change === undefined ? {} : { change: await changeWork(context, task, plan.change) }),
    sent: await sentFor(context, task, feed.feedId),
    stitchFeeds: await stitchFeedsOf(context.kysely, task.tenant, feed.source),
    ...(plan.replayOf === undefined ? {} : { replay: await replayWork(context, task, plan) }),
  });
}

/** While the task holds the feed's publish, nothing else comes on record: what is refused here stays refused. */
async function changeWork(
  { kysely }: EngineContext,
  { tenant, feed_id }: TaskRow,
  change: TableChange,
): Promise<TableChange> {
  if (change.change.case !== "undo") return change;
  const { workflowId } = change.change.value;
  const newest = await newestChange(kysely, tenant, feed_id ?? "");
  const refusal =
    newest?.workflow_id === workflowId
      ? undoRefusal(newest, newest)
      : "the domain table was changed, or the load undone, since the undo was asked for";
  return { ...change, refusal };
}

async function replayWork(
  context: EngineContext,
  task: TaskRow,
  plan: Plan,
): Promise<ReplayRejectsWork> {
  return create(ReplayRejectsWorkSchema, {
    feed: feedOf(plan, task.feed_id),
    workflowId: plan.replayOf ?? "",
    fromOrdinal: BigInt(await firstOrdinalSinceTruncate(context, task)),
  });
}

/** The first object that came with, or after, what last replaced all rows of the task's feed; 0 when nothing did. */
async function firstOrdinalSinceTruncate(
  { kysely }: EngineContext,
  { tenant, feed_id }: TaskRow,
): Promise<number> {
  const truncated = await kysely
    .selectFrom("load_record")
    .select(["workflow_id", "first_ordinal"])
    .where("tenant", "=", tenant)
    .where("feed_id", "=", feed_id)
    .where("undone_by", "is", null)
    .where((where) =>
      where.or([
        where("operation", "=", LoadOperation.TRUNCATE_AND_LOAD),
        where("change", "=", "truncate"),
      ]),
    )
    .orderBy("number", "desc")
    .limit(1)
    .executeTakeFirst();
  if (truncated === undefined) return 0;
  if (truncated.first_ordinal !== null) return truncated.first_ordinal;
  const first = await kysely
    .selectFrom("task")
    .select("object_ordinal")
    .where("tenant", "=", tenant)
    .where("workflow_id", "=", truncated.workflow_id)
    .where("feed_id", "=", feed_id)
    .where("kind", "=", "load")
    .orderBy("object_ordinal")
    .limit(1)
    .executeTakeFirst();
  return first?.object_ordinal ?? 0;
}

/** What the loads of a workflow sent into a feed, by object. */
async function sentFor(
  { kysely }: EngineContext,
  { tenant, workflow_id }: TaskRow,
  feedId: string,
): Promise<PublishWork["sent"]> {
  const { rows: loads } = await sql<{
    key: string;
    done_rows: number;
    done_rejected_rows: number;
    variant: string;
    bucket: string | null;
    etag: string | null;
  }>`
    select task.key, done_rows, done_rejected_rows, variant, object.bucket, object.etag
    from task left join ${OBJECT_OF_TASK} on true
    where task.tenant = ${tenant} and task.workflow_id = ${workflow_id}
      and feed_id = ${feedId} and kind = 'load'
    order by number`.execute(kysely);
  return loads.map(({ key, bucket, etag, done_rows, done_rejected_rows, variant }) =>
    create(SentObjectSchema, {
      key,
      bucket: bucket ?? "",
      etag: etag ?? "",
      // Of a file that a query reads nothing is staged for the feed but what could not be read.
      rows: BigInt(variant === "query_file" ? done_rejected_rows : done_rows),
    }),
  );
}
