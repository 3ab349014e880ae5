import { toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Courier } from "@sluice/api/control/v1/courier_pb";
import {
  type RunCourierRequest,
  RunCourierRequestSchema,
} from "@sluice/api/control/v1/courier_service_pb";
import { Feed_State } from "@sluice/api/control/v1/feed_pb";
import type { FeedVersion } from "@sluice/api/ingest/v1/task_pb";
import { makeId } from "../resources/identity.ts";
import { makeOnce } from "../resources/request-id.ts";
import { readCourier } from "../services/courier-rows.ts";
import { readFeed } from "../services/feed-rows.ts";
import type { EngineContext, Trx } from "./context.ts";
import { type Days, daysOfRun } from "./days.ts";
import { toFeedVersion } from "./feed-version.ts";
import { type Plan, planToJson } from "./plan.ts";
import { NEW_TASK, NEW_WORKFLOW } from "./state-machine.ts";

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
  const id = makeId("wf");
  const call = {
    method: "RunCourier",
    requestId: request.requestId,
    body: toBinary(RunCourierRequestSchema, { ...request, requestId: "" }),
  };
  const workflowId = await makeOnce(context.requests, call, id, async (trx) => {
    const tenant = context.tenant();
    await insertWorkflow(trx, tenant, id, request, days, await readPlan(trx, tenant, request.id));
  });
  if (workflowId === id) context.taskBell.ring();
  return { workflowId };
}

async function readPlan(trx: Trx, tenant: string, courierId: string): Promise<Plan> {
  const courier = await readCourier(trx, tenant, courierId);
  assertOneOperation(courier);
  const feeds: FeedVersion[] = [];
  for (const feedId of new Set(courier.loads.map((load) => load.feedId))) {
    feeds.push(await activeVersion(trx, tenant, feedId));
  }
  return { courier, feeds };
}

/** A feed is published once in a workflow, so its rows can't both stay and be replaced. */
function assertOneOperation(courier: Courier): void {
  for (const load of courier.loads) {
    const first = courier.loads.find((other) => other.feedId === load.feedId);
    if (first !== undefined && first.operation !== load.operation) {
      throw new ConnectError(
        `the courier loads feed ${load.feedId} twice with different operations`,
        Code.FailedPrecondition,
      );
    }
  }
}

async function activeVersion(trx: Trx, tenant: string, feedId: string): Promise<FeedVersion> {
  const feed = await readFeed(trx, tenant, feedId);
  const { id, source, name, version, spec } = feed;
  if (feed.state !== Feed_State.ACTIVE || spec === undefined) {
    throw new ConnectError(
      `feed ${source}.${name} is not active: activate it, then run the courier`,
      Code.FailedPrecondition,
    );
  }
  return toFeedVersion({ feedId: id, source, name, version, spec });
}

async function insertWorkflow(
  trx: Trx,
  tenant: string,
  id: string,
  request: RunCourierRequest,
  days: Days,
  plan: Plan,
): Promise<void> {
  await trx
    .insertInto("workflow")
    .values({
      tenant,
      id,
      courier_id: plan.courier.id,
      courier_name: plan.courier.name,
      state: NEW_WORKFLOW.state,
      staged: NEW_WORKFLOW.staged,
      tally: JSON.stringify(NEW_WORKFLOW.tally),
      start_date: days.startDate,
      end_date: days.endDate,
      skip_missing_files: request.skipMissingFiles,
      plan: planToJson(plan),
      revision: 1,
    })
    .execute();
  await trx
    .insertInto("task")
    .values({
      tenant,
      id: makeId("task"),
      workflow_id: id,
      number: 1,
      kind: "list",
      ...NEW_TASK,
      revision: 1,
    })
    .execute();
}
