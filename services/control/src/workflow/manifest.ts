import { toJsonString } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { MissingFileSchema } from "@sluice/api/control/v1/workflow_file_pb";
import type { ManifestObject } from "@sluice/api/ingest/v1/task_pb";
import type { AppendManifestRequest } from "@sluice/api/ingest/v1/task_service_pb";
import { sql } from "kysely";
import { type Change, inWorkflow } from "./change.ts";
import type { EngineContext, Trx } from "./context.ts";
import { nextDay } from "./days.ts";
import { lockTask, staleAttempt, workflowOfTask } from "./task-row.ts";

/** Keeps found objects. Repeating a page changes nothing: pages count from 0 within an attempt. */
export async function appendManifest(
  context: EngineContext,
  request: AppendManifestRequest,
): Promise<void> {
  await inWorkflow(context, await workflowOfTask(context, request.taskId), async (change) => {
    const task = await lockTask(change, request.taskId);
    if (task.kind !== "list") {
      throw new ConnectError(`task ${task.id} is a ${task.kind}`, Code.InvalidArgument);
    }
    if (task.state !== "running" || task.attempt !== request.attempt) {
      throw staleAttempt(task, request.attempt);
    }
    if (await isKnown(change, request)) return;
    // What an earlier attempt found is of no use: a list may be tried many times before its files come.
    if (request.page === 0) await keepAttempt(change, request.attempt);
    const place = {
      tenant: change.tenant,
      workflow_id: change.workflow.id,
      attempt: request.attempt,
      page: request.page,
    };
    await insertObjects(change.trx, place, request.objects);
    if (request.missing.length === 0) return;
    await change.trx
      .insertInto("missing_file")
      .values(
        request.missing.map((file, position) => ({
          ...place,
          position,
          file: toJsonString(MissingFileSchema, file),
        })),
      )
      .execute();
  });
}

/** Where objects of a manifest come to stand. */
export interface ManifestPlace {
  readonly tenant: string;
  readonly workflow_id: string;
  readonly attempt: number;
  readonly page: number;
}

/** Writes objects in their order, from position 0: as one parameter, so that one statement is prepared for any number. */
export async function insertObjects(
  trx: Trx,
  place: ManifestPlace,
  objects: readonly ManifestObject[],
): Promise<void> {
  const rows = objects.map((object, position) => ({
    position,
    bucket: object.bucket,
    key: object.key,
    etag: object.etag,
    version_id: object.versionId,
    size: Number(object.size),
    date: object.date,
    file_tag: object.fileTag,
    modify_time: object.modifyTime === undefined ? null : timestampDate(object.modifyTime),
  }));
  if (rows.length === 0) return;
  const { tenant, workflow_id, attempt, page } = place;
  await sql`
    insert into manifest_object (tenant, workflow_id, attempt, page, position,
                                 bucket, key, etag, version_id, size, date, file_tag, modify_time)
    select ${tenant}, ${workflow_id}, ${attempt}::integer, ${page}::integer, position,
           bucket, key, etag, version_id, size, date, file_tag, modify_time
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb)
      as object(position integer, bucket text, key text, etag text, version_id text, size bigint,
                date text, file_tag text, modify_time timestamptz)`.execute(trx);
}

async function isKnown(change: Change, request: AppendManifestRequest): Promise<boolean> {
  for (const table of ["manifest_object", "missing_file"] as const) {
    const row = await change.trx
      .selectFrom(table)
      .select("position")
      .where("tenant", "=", change.tenant)
      .where("workflow_id", "=", change.workflow.id)
      .where("attempt", "=", request.attempt)
      .where("page", "=", request.page)
      .limit(1)
      .executeTakeFirst();
    if (row !== undefined) return true;
  }
  return false;
}

/**
 * Leaves of the manifest only what this attempt found. INVALID_ARGUMENT when that is not as many
 * objects as the worker found: a page is missing.
 */
export async function freezeManifest(
  change: Change,
  attempt: number,
  objects: number,
): Promise<void> {
  const { kept } = await change.trx
    .selectFrom("manifest_object")
    .select(sql<number>`count(*)::bigint`.as("kept"))
    .where("tenant", "=", change.tenant)
    .where("workflow_id", "=", change.workflow.id)
    .where("attempt", "=", attempt)
    .executeTakeFirstOrThrow();
  if (kept !== objects) {
    throw new ConnectError(
      `list.objects: ${objects} objects were found, ${kept} were appended by attempt ${attempt}`,
      Code.InvalidArgument,
    );
  }
  await keepAttempt(change, attempt);
  if (change.workflow.everything) await setDays(change);
}

/** The days of a run of everything are those of the files that were found. */
async function setDays(change: Change): Promise<void> {
  const days = await change.trx
    .selectFrom("manifest_object")
    .select((row) => [row.fn.min("date").as("first"), row.fn.max("date").as("last")])
    .where("tenant", "=", change.tenant)
    .where("workflow_id", "=", change.workflow.id)
    .executeTakeFirst();
  if (days?.first == null || days.last == null || days.first === "") return;
  await change.trx
    .updateTable("workflow")
    .set({ start_date: days.first, end_date: nextDay(days.last) })
    .where("tenant", "=", change.tenant)
    .where("id", "=", change.workflow.id)
    .execute();
}

async function keepAttempt(change: Change, attempt: number): Promise<void> {
  for (const table of ["manifest_object", "missing_file"] as const) {
    await change.trx
      .deleteFrom(table)
      .where("tenant", "=", change.tenant)
      .where("workflow_id", "=", change.workflow.id)
      .where("attempt", "<>", attempt)
      .execute();
  }
}
