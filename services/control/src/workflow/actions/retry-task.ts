import { create, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  ResolveActionRequestSchema,
  type RetryTaskRequest,
  RetryTaskRequestSchema,
} from "@sluice/api/control/v1/workflow_service_pb";
import { findMade } from "../../resources/request-id.ts";
import type { EngineContext } from "../context.ts";
import { workflowOfTask } from "../task-row.ts";
import { resolveAction } from "./resolve-action.ts";

/**
 * Tries a failed task again, and gives its workflow's id: the resolution that every action offers. NOT_FOUND without the
 * task, FAILED_PRECONDITION for one that did not fail.
 */
export async function retryTask(
  context: EngineContext,
  request: RetryTaskRequest,
): Promise<string> {
  const { taskId, requestId } = request;
  const workflowId = await workflowOfTask(context, taskId);
  const call = {
    method: "RetryTask",
    requestId,
    body: toBinary(RetryTaskRequestSchema, { ...request, requestId: "" }),
  };
  if ((await findMade(context.requests, call)) !== undefined) return workflowId;
  const action = await context.kysely
    .selectFrom("action")
    .select("id")
    .where("tenant", "=", context.tenant())
    .where("task_id", "=", taskId)
    .where("state", "=", "open")
    .executeTakeFirst();
  if (action === undefined) {
    throw new ConnectError(
      `task ${taskId} has not failed: there is nothing to try again`,
      Code.FailedPrecondition,
    );
  }
  const { id } = action;
  const asked = create(ResolveActionRequestSchema, { id, resolutionId: "retry_task" });
  await resolveAction(context, asked, call);
  return workflowId;
}
