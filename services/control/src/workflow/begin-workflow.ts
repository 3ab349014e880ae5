import { Code, ConnectError } from "@connectrpc/connect";
import { Feed_State } from "@sluice/api/control/v1/feed_pb";
import type { FeedVersion } from "@sluice/api/ingest/v1/task_pb";
import { makeId } from "../resources/identity.ts";
import { readFeed } from "../services/feed-rows.ts";
import type { Tenant } from "../tenant.ts";
import type { Trx } from "./context.ts";
import type { Days } from "./days.ts";
import { toFeedVersion } from "./feed-version.ts";
import { type Plan, planToJson } from "./plan.ts";
import { NEW_TASK, NEW_WORKFLOW } from "./state-machine.ts";

/** What a new workflow is made of. */
export interface NewWorkflow {
  readonly tenant: Tenant;
  readonly id: string;
  readonly days: Days;
  readonly skipMissingFiles: boolean;
  readonly plan: Plan;
}

/** A feed as it is now; FAILED_PRECONDITION when it is not active, NOT_FOUND when there is none. */
export async function activeVersion(
  trx: Trx,
  tenant: Tenant,
  feedId: string,
): Promise<FeedVersion> {
  const { id, source, name, version, spec, state } = await readFeed(trx, tenant, feedId);
  if (state !== Feed_State.ACTIVE || spec === undefined) {
    throw new ConnectError(
      `feed ${source}.${name} is not active: activate it first`,
      Code.FailedPrecondition,
    );
  }
  return toFeedVersion({ feedId: id, source, name, version, spec });
}

/** Writes a workflow with its first task, the list. */
export async function insertWorkflow(trx: Trx, workflow: NewWorkflow): Promise<void> {
  const { tenant, id, days, plan } = workflow;
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
      skip_missing_files: workflow.skipMissingFiles,
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
