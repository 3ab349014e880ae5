import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { type PublishIntent, PublishIntentSchema } from "@sluice/api/ingest/v1/task_pb";
import type { RecordPublishIntentRequest } from "@sluice/api/ingest/v1/task_service_pb";
import type { Selectable } from "kysely";
import type { PublishIntentTable } from "../database/schema.ts";
import { inWorkflow } from "./change.ts";
import type { EngineContext } from "./context.ts";
import { lockTask, staleAttempt, workflowOfTask } from "./task-row.ts";

/** What a publish was about to do, as its row has it. */
export function toPublishIntent(
  row: Pick<Selectable<PublishIntentTable>, "staging_uuid" | "rows_uuid" | "rows_before">,
): PublishIntent {
  return create(PublishIntentSchema, {
    stagingUuid: row.staging_uuid,
    rowsUuid: row.rows_uuid,
    ...(row.rows_before === null ? {} : { rowsBefore: BigInt(row.rows_before) }),
  });
}

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
          rows_before: intent.rowsBefore === undefined ? null : Number(intent.rowsBefore),
        })
        .onConflict((conflict) => conflict.columns(["tenant", "task_id"]).doNothing())
        .execute();
      const first = await change.trx
        .selectFrom("publish_intent")
        .select(["staging_uuid", "rows_uuid", "rows_before"])
        .where("tenant", "=", change.tenant)
        .where("task_id", "=", task.id)
        .executeTakeFirstOrThrow();
      return toPublishIntent(first);
    },
  );
}
