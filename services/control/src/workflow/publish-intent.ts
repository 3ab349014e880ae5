import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { type PublishIntent, PublishIntentSchema } from "@sluice/api/ingest/v1/task_pb";
import type { RecordPublishIntentRequest } from "@sluice/api/ingest/v1/task_service_pb";
import { inWorkflow } from "./change.ts";
import type { EngineContext } from "./context.ts";
import { lockTask, staleAttempt, workflowOfTask } from "./task-row.ts";

/** Keeps what a publish is about to do, and gives what the first attempt said. */
export async function recordPublishIntent(
  context: EngineContext,
  request: RecordPublishIntentRequest,
): Promise<PublishIntent> {
  const { intent } = request;
  if (intent === undefined) throw new ConnectError("intent: is required", Code.InvalidArgument);
  return await inWorkflow(
    context,
    await workflowOfTask(context, request.taskId),
    async (change) => {
      const task = await lockTask(change, request.taskId);
      if (task.kind !== "publish") {
        throw new ConnectError(`task ${task.id} is a ${task.kind}`, Code.InvalidArgument);
      }
      if (task.state !== "running" || task.attempt !== request.attempt) {
        throw staleAttempt(task, request.attempt);
      }
      await change.trx
        .insertInto("publish_intent")
        .values({
          tenant: change.tenant,
          task_id: task.id,
          staging_uuid: intent.stagingUuid,
          rows_uuid: intent.rowsUuid,
          attempt: request.attempt,
        })
        .onConflict((conflict) => conflict.columns(["tenant", "task_id"]).doNothing())
        .execute();
      const first = await change.trx
        .selectFrom("publish_intent")
        .select(["staging_uuid", "rows_uuid"])
        .where("tenant", "=", change.tenant)
        .where("task_id", "=", task.id)
        .executeTakeFirstOrThrow();
      return create(PublishIntentSchema, {
        stagingUuid: first.staging_uuid,
        rowsUuid: first.rows_uuid,
      });
    },
  );
}
