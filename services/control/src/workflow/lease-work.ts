import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { FileSettings } from "@sluice/api/control/v1/file_settings_pb";
import {
  CheckpointSchema,
  DiscardWorkSchema,
  type Lease,
  LeaseSchema,
  ListWorkSchema,
  type LoadObjectWork,
  LoadObjectWorkSchema,
  ManifestObjectSchema,
  type PublishWork,
  PublishWorkSchema,
  SelectionSchema,
  SentObjectSchema,
} from "@sluice/api/ingest/v1/task_pb";
import type { EngineContext, TaskRow, WorkflowRow } from "./context.ts";
import { daysOf } from "./days.ts";
import { feedOf, type Plan, planFromJson } from "./plan.ts";

/** A claimed task with all that a worker needs, secrets included: they are opened here and kept nowhere. */
export async function leaseFor(
  context: EngineContext,
  task: TaskRow,
  expireTime: Date,
): Promise<Lease> {
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
    work: await workOf(context, task, workflow, planFromJson(workflow.plan)),
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
      return {
        case: "list",
        value: create(ListWorkSchema, {
          connection: await context.secrets.connection(plan.courier.credentialId),
          prefix: plan.courier.prefix,
          selections: plan.courier.files.map((file) =>
            create(SelectionSchema, {
              fileTag: file.tag,
              selection: file.selection,
              optional: file.optional || workflow.skip_missing_files,
            }),
          ),
          dates: daysOf(workflow.start_date, workflow.end_date),
          feeds: [...plan.feeds],
        }),
      };
    case "load":
      return { case: "loadObject", value: await loadWork(context, task, plan) };
    case "publish":
      return { case: "publish", value: await publishWork(context, task, plan) };
    case "discard":
      return { case: "discard", value: create(DiscardWorkSchema, { feeds: [...plan.feeds] }) };
  }
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
  const pgp = pgpCredential(file.settings);
  return create(LoadObjectWorkSchema, {
    connection: await context.secrets.connection(plan.courier.credentialId),
    object: create(ManifestObjectSchema, {
      bucket: object.bucket,
      key: object.key,
      etag: object.etag,
      versionId: object.version_id,
      size: BigInt(object.size),
      date: object.date,
      ordinal: BigInt(task.object_ordinal ?? 0),
      fileTag: object.file_tag,
    }),
    settings: file.settings,
    ...(pgp === undefined ? {} : { pgpKeys: await context.secrets.pgpKeys(pgp) }),
    feed: feedOf(plan, task.feed_id),
    checkpoint: create(CheckpointSchema, {
      batches: BigInt(task.done_batches),
      rows: BigInt(task.done_rows),
      rejectedRows: BigInt(task.done_rejected_rows),
    }),
  });
}

function pgpCredential(settings: FileSettings): string | undefined {
  return settings.encryption.case === "pgp" ? settings.encryption.value.credentialId : undefined;
}

async function publishWork(
  context: EngineContext,
  task: TaskRow,
  plan: Plan,
): Promise<PublishWork> {
  const feed = feedOf(plan, task.feed_id);
  const intent = await context.kysely
    .selectFrom("publish_intent")
    .select(["staging_uuid", "rows_uuid"])
    .where("tenant", "=", task.tenant)
    .where("task_id", "=", task.id)
    .executeTakeFirst();
  return create(PublishWorkSchema, {
    feed,
    operation: plan.courier.loads.find((load) => load.feedId === feed.feedId)?.operation ?? 0,
    ...(intent === undefined
      ? {}
      : { intent: { stagingUuid: intent.staging_uuid, rowsUuid: intent.rows_uuid } }),
    sent: await sentFor(context, task, feed.feedId),
  });
}

/** What the loads of a workflow sent into a feed, by object. */
async function sentFor(
  { kysely }: EngineContext,
  { tenant, workflow_id }: TaskRow,
  feedId: string,
): Promise<PublishWork["sent"]> {
  const loads = await kysely
    .selectFrom("task")
    .select(["key", "done_rows"])
    .where("tenant", "=", tenant)
    .where("workflow_id", "=", workflow_id)
    .where("feed_id", "=", feedId)
    .where("kind", "=", "load")
    .orderBy("number")
    .execute();
  return loads.map(({ key, done_rows }) =>
    create(SentObjectSchema, { key, rows: BigInt(done_rows) }),
  );
}
