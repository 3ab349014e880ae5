import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import type {
  ListWorkflowsRequest,
  WatchWorkflowRequest,
  WatchWorkflowResponse,
  WorkflowService,
} from "@sluice/api/control/v1/workflow_service_pb";
import {
  type ListWorkflowsResponseSchema,
  WatchWorkflowResponseSchema,
} from "@sluice/api/control/v1/workflow_service_pb";
import { toPage } from "../resources/page.ts";
import { getAction, listActions } from "./actions/list-actions.ts";
import { resolveAction } from "./actions/resolve-action.ts";
import { restartWorkflow } from "./actions/restart-workflow.ts";
import { retryTask } from "./actions/retry-task.ts";
import { uploadReplacement } from "./actions/upload-replacement.ts";
import { inWorkflow, step } from "./change.ts";
import type { EngineContext } from "./context.ts";
import { listWorkflowFiles } from "./list-files.ts";
import { belowNumber } from "./page-number.ts";
import { readRow, withTasks } from "./read-workflow.ts";
import { isEnded, isFinal } from "./state-machine.ts";
import { toWorkflow } from "./workflow-message.ts";

/** Shows workflows to people and platforms, and takes their wish to stop one. */
export function createWorkflowService(context: EngineContext): ServiceImpl<typeof WorkflowService> {
  return {
    async getWorkflow(request) {
      return { workflow: await withTasks(context, await readRow(context, request.id), -1) };
    },
    listWorkflows: (request) => listWorkflows(context, request),
    listWorkflowFiles: (request) => listWorkflowFiles(context, request),
    watchWorkflow: (request, call) => watchWorkflow(context, request, call.signal),
    listActions: (request) => listActions(context, request),
    getAction: async ({ id }) => ({ action: await getAction(context, id) }),
    async resolveAction(request) {
      await resolveAction(context, request);
      const action = await getAction(context, request.id);
      return { action, workflowId: action.restartedAs || action.workflowId };
    },
    async retryTask(request) {
      const workflowId = await retryTask(context, request);
      return { workflow: await withTasks(context, await readRow(context, workflowId), -1) };
    },
    uploadReplacement: async (messages) => ({
      replacement: await uploadReplacement(context, messages),
    }),
    restartWorkflow: async (request) => ({ workflowId: await restartWorkflow(context, request) }),
    async cancelWorkflow(request) {
      await cancelWorkflow(context, request.id);
      return { workflow: await withTasks(context, await readRow(context, request.id), -1) };
    },
  };
}

/** Asks a workflow to stop, and gives one up that has failed; one that has ended otherwise stays as it is. */
export async function cancelWorkflow(context: EngineContext, id: string): Promise<void> {
  await inWorkflow(context, id, (change) =>
    isFinal(change.condition.state)
      ? Promise.resolve(undefined)
      : step(context, change, undefined, { type: "cancelRequested" }),
  );
}

async function listWorkflows(
  context: EngineContext,
  request: ListWorkflowsRequest,
): Promise<MessageInitShape<typeof ListWorkflowsResponseSchema>> {
  const page = toPage(request, ["workflows", request.courierId]);
  const below = belowNumber(page);
  let query = context.kysely
    .selectFrom("workflow")
    .selectAll()
    .where("tenant", "=", context.tenant())
    .orderBy("number", "desc")
    .limit(page.size + 1);
  if (below !== undefined) query = query.where("number", "<", below);
  if (request.courierId !== "") query = query.where("courier_id", "=", request.courierId);
  const { rows, nextPageToken } = page.cut(await query.execute(), (row) => [String(row.number)]);
  const now = new Date();
  return { workflows: rows.map((row) => toWorkflow(row, [], now)), nextPageToken };
}

/**
 * An event for what is there, then one for what changed, until the workflow has ended. Every change
 * after `afterEvent` is in exactly one event; changes that come fast share one. UNAVAILABLE when the
 * engine stops: the watcher goes on elsewhere from the last event it saw.
 */
async function* watchWorkflow(
  context: EngineContext,
  request: WatchWorkflowRequest,
  caller: AbortSignal,
): AsyncGenerator<WatchWorkflowResponse> {
  using listening = context.workflowBells.listen(request.id);
  let after = Number(request.afterEvent);
  for (;;) {
    if (caller.aborted) throw caller.reason;
    if (context.stopped.aborted) {
      throw new ConnectError("the service is stopping; watch again", Code.Unavailable);
    }
    const seen = listening.bell.rung;
    const seenEnds = listening.ends.rung;
    const row = await readRow(context, request.id);
    const isNews = row.revision > after;
    if (isNews) {
      const workflow = await withTasks(context, row, after);
      yield create(WatchWorkflowResponseSchema, { event: BigInt(row.revision), workflow });
      after = row.revision;
    }
    if (isEnded(row.state)) return;
    if (isNews) {
      // Lets changes gather, so that a busy workflow does not flood who watches it. An end is told at once.
      await listening.ends.after(seenEnds, context.watchIntervalMs, caller, context.stopped);
    }
    await listening.bell.after(seen, context.pollMs, caller, context.stopped);
  }
}
