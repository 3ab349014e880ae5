import { Code, ConnectError } from "@connectrpc/connect";
import type { AppendManifestRequest } from "@sluice/api/ingest/v1/task_service_pb";
import { sql } from "kysely";
import { type Change, inWorkflow } from "./change.ts";
import type { EngineContext } from "./context.ts";
import { lockTask, staleAttempt, workflowOfTask } from "./task-row.ts";

/** Rows of one insert: PostgreSQL takes at most 65,535 parameters, and a row has 12. */
const ROWS_PER_INSERT = 2_000;

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
    const known = await change.trx
      .selectFrom("manifest_object")
      .select("position")
      .where("tenant", "=", change.tenant)
      .where("workflow_id", "=", change.workflow.id)
      .where("attempt", "=", request.attempt)
      .where("page", "=", request.page)
      .limit(1)
      .executeTakeFirst();
    if (known !== undefined) return;
    const rows = request.objects.map((object, position) => ({
      tenant: change.tenant,
      workflow_id: change.workflow.id,
      attempt: request.attempt,
      page: request.page,
      position,
      bucket: object.bucket,
      key: object.key,
      etag: object.etag,
      version_id: object.versionId,
      size: Number(object.size),
      date: object.date,
      file_tag: object.fileTag,
    }));
    for (let start = 0; start < rows.length; start += ROWS_PER_INSERT) {
      await change.trx
        .insertInto("manifest_object")
        .values(rows.slice(start, start + ROWS_PER_INSERT))
        .execute();
    }
  });
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
  await change.trx
    .deleteFrom("manifest_object")
    .where("tenant", "=", change.tenant)
    .where("workflow_id", "=", change.workflow.id)
    .where("attempt", "<>", attempt)
    .execute();
}
