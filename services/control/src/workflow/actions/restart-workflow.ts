import { create, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { EverythingSchema } from "@sluice/api/control/v1/courier_service_pb";
import {
  type RestartWorkflowRequest,
  RestartWorkflowRequestSchema,
} from "@sluice/api/control/v1/workflow_service_pb";
import type { FeedVersion } from "@sluice/api/ingest/v1/task_pb";
import { makeId } from "../../resources/identity.ts";
import { makeOnce } from "../../resources/request-id.ts";
import { activeVersion, insertWorkflow } from "../begin-workflow.ts";
import { type Change, type Changed, changeWorkflow, step, tellOf } from "../change.ts";
import type { EngineContext, Trx, WorkflowRow } from "../context.ts";
import { daysOfRun } from "../days.ts";
import { type Plan, planFromJson } from "../plan.ts";
import { readPlan } from "../run-courier.ts";
import { isEnded } from "../state-machine.ts";

/**
 * Begins a workflow that has ended anew, for the same days, with the courier and the feeds as they are now, and gives
 * the new one's id. NOT_FOUND without the workflow or its courier, FAILED_PRECONDITION while it runs.
 */
export async function restartWorkflow(
  context: EngineContext,
  request: RestartWorkflowRequest,
): Promise<string> {
  const call = {
    method: "RestartWorkflow",
    requestId: request.requestId,
    body: toBinary(RestartWorkflowRequestSchema, { ...request, requestId: "" }),
  };
  const id = makeId("wf");
  let changed: Changed<unknown> | undefined;
  const made = await makeOnce(context.requests, call, id, async (trx) => {
    changed = await changeWorkflow(context, trx, request.id, async (change) => {
      await restartIn(context, trx, change.workflow, id);
      await giveUp(context, change);
    });
  });
  if (changed !== undefined) tellOf(context, changed);
  context.taskBell.ring();
  return made;
}

/** Writes the workflow that takes another's place, and gives its id. */
export async function restartIn(
  context: EngineContext,
  trx: Trx,
  workflow: WorkflowRow,
  id: string = makeId("wf"),
): Promise<string> {
  if (!isEnded(workflow.state)) {
    throw new ConnectError(
      `workflow ${workflow.id} is ${workflow.state}: cancel it first, or wait until it has ended`,
      Code.FailedPrecondition,
    );
  }
  const tenant = context.tenant();
  await insertWorkflow(trx, tenant, id, {
    // The days of a workflow of everything are those of what it found: what is there by now is another matter.
    days: workflow.everything
      ? daysOfRun({ case: "everything", value: create(EverythingSchema) }, new Date())
      : { startDate: workflow.start_date, endDate: workflow.end_date },
    options: {
      skipMissingFiles: workflow.skip_missing_files,
      everything: workflow.everything,
      ingestOnly: workflow.ingest_only,
      reloadUnchanged: workflow.reload_unchanged,
    },
    plan: await currentPlan(trx, tenant, workflow),
  });
  return id;
}

/** Lets go of what a failed workflow keeps; changes no other. */
export async function giveUp(context: EngineContext, change: Change): Promise<void> {
  if (change.condition.state !== "failed") return;
  await step(context, change, undefined, { type: "cancelRequested" });
}

async function currentPlan(trx: Trx, tenant: string, workflow: WorkflowRow): Promise<Plan> {
  const { replayOf, comparison, change, courier, feeds } = planFromJson(workflow.plan);
  if (comparison !== undefined || change !== undefined) {
    throw new ConnectError(
      `workflow ${workflow.id} ran no courier: call again what began it instead`,
      Code.FailedPrecondition,
    );
  }
  if (replayOf === undefined) return await readPlan(trx, tenant, workflow.courier_id);
  const current: FeedVersion[] = [];
  for (const { feedId } of feeds) current.push(await activeVersion(trx, tenant, feedId));
  return { courier, feeds: current, replayOf };
}
