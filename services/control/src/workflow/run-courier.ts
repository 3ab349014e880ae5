import { toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Courier } from "@sluice/api/control/v1/courier_pb";
import {
  type RunCourierRequest,
  RunCourierRequestSchema,
} from "@sluice/api/control/v1/courier_service_pb";
import type { FeedVersion } from "@sluice/api/ingest/v1/task_pb";
import { crashPoint } from "@sluice/errors";
import { feedIdOf, feedsOf } from "../couriers/courier-feeds.ts";
import { readCourier } from "../couriers/courier-rows.ts";
import { activeVersion, beginOnce } from "./begin-workflow.ts";
import type { EngineContext, Trx } from "./context.ts";
import { daysOfRun } from "./days.ts";
import type { Plan } from "./plan.ts";

/**
 * Starts a workflow and gives its id; with a request id that was used before, the id of the workflow
 * that the first call started. INVALID_ARGUMENT for days that can't be run, NOT_FOUND without the courier,
 * FAILED_PRECONDITION for a feed that is not active.
 */
export async function runCourier(
  context: EngineContext,
  request: RunCourierRequest,
  now: Date = new Date(),
): Promise<{ readonly workflowId: string }> {
  const days = daysOfRun(request.scope, now);
  const call = {
    method: "RunCourier",
    requestId: request.requestId,
    body: toBinary(RunCourierRequestSchema, { ...request, requestId: "" }),
  };
  const workflowId = await beginOnce(context, call, async (trx, tenant) => ({
    days,
    options: {
      skipMissingFiles: request.skipMissingFiles,
      everything: request.scope.case === "everything",
      ingestOnly: request.ingestOnly,
      reloadUnchanged: request.reloadUnchanged,
    },
    plan: await readPlan(trx, tenant, request.id),
  }));
  crashPoint("control-workflow-recorded");
  return { workflowId };
}

/** What a run of the courier begins with; FAILED_PRECONDITION and NOT_FOUND as above. */
export async function readPlan(trx: Trx, tenant: string, courierId: string): Promise<Plan> {
  const courier = await readCourier(trx, tenant, courierId);
  assertOneOperation(courier);
  const feeds: FeedVersion[] = [];
  for (const feedId of feedsOf(courier)) {
    feeds.push(await activeVersion(trx, tenant, feedId));
  }
  return { courier, feeds };
}

/** A feed is published once in a workflow, so its rows can't both stay and be replaced. */
function assertOneOperation(courier: Courier): void {
  for (const load of courier.loads) {
    const first = courier.loads.find((other) => feedIdOf(other) === feedIdOf(load));
    if (first !== undefined && first.operation !== load.operation) {
      throw new ConnectError(
        `the courier loads feed ${feedIdOf(load)} twice with different operations`,
        Code.FailedPrecondition,
      );
    }
  }
}
