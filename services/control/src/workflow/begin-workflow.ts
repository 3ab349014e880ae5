import { Code, ConnectError } from "@connectrpc/connect";
import type { FeedVersion } from "@sluice/api/ingest/v1/task_pb";
import { readFeed } from "../feeds/feed-rows.ts";
import { makeId } from "../resources/identity.ts";
import { type CreatingCall, makeOnce } from "../resources/request-id.ts";
import type { Tenant } from "../tenant.ts";
import type { EngineContext, Trx } from "./context.ts";
import type { Days } from "./days.ts";
import { activeVersionOf } from "./feed-version.ts";
import { type Plan, planToJson } from "./plan.ts";
import { NEW_CHANGE, NEW_WORKFLOW } from "./state-machine.ts";
import { NEW_TASK } from "./tally.ts";

/** How a run differs from the plainest one. */
export interface RunOptions {
  /** Goes on without files that are missing. */
  readonly skipMissingFiles?: boolean;
  /** Runs for every object there is, each for its own day. */
  readonly everything?: boolean;
  /** Begins nothing that follows from the rows. */
  readonly ingestOnly?: boolean;
  /** Loads files again that have not changed since they were loaded. */
  readonly reloadUnchanged?: boolean;
}

/** What a new workflow is made of. */
export interface NewWorkflow {
  readonly days: Days;
  readonly options: RunOptions;
  readonly plan: Plan;
  /** Set when a group's run begins it. */
  readonly groupRun?: {
    readonly id: string;
    /** Until then, a list that misses files is tried again; not set for what lists nothing. */
    readonly filesWaitUntil?: Date;
  };
}

/** A feed as it is now; FAILED_PRECONDITION when it is not active, NOT_FOUND when there is none. */
export async function activeVersion(
  trx: Trx,
  tenant: Tenant,
  feedId: string,
): Promise<FeedVersion> {
  const feed = await readFeed(trx, tenant, feedId);
  const version = activeVersionOf(feed);
  if (version === undefined) {
    throw new ConnectError(
      `feed ${feed.source}.${feed.name} is not active: activate it first`,
      Code.FailedPrecondition,
    );
  }
  return version;
}

/**
 * Begins the workflow that `prepare` describes, and gives its id. A call that is repeated gives the id of the
 * workflow that the first one began, and prepares nothing.
 */
export async function beginOnce(
  context: EngineContext,
  call: CreatingCall,
  prepare: (trx: Trx, tenant: Tenant) => Promise<NewWorkflow>,
): Promise<string> {
  const id = makeId("wf");
  const tenant = context.tenant();
  const workflowId = await makeOnce(context.requests, call, id, async (trx) => {
    await insertWorkflow(trx, tenant, id, await prepare(trx, tenant));
  });
  if (workflowId === id) context.taskBell.ring();
  return workflowId;
}

/** Writes a workflow with its first task: the list, or the only publish of a workflow that changes a domain table. */
export async function insertWorkflow(
  trx: Trx,
  tenant: Tenant,
  id: string,
  { days, options, plan, groupRun }: NewWorkflow,
): Promise<void> {
  const begun = plan.change === undefined ? NEW_WORKFLOW : NEW_CHANGE;
  await trx
    .insertInto("workflow")
    .values({
      tenant,
      id,
      courier_id: plan.courier.id,
      courier_name: plan.courier.name,
      state: begun.state,
      staged: begun.staged,
      tally: JSON.stringify(begun.tally),
      start_date: days.startDate,
      end_date: days.endDate,
      skip_missing_files: options.skipMissingFiles ?? false,
      everything: options.everything ?? false,
      ingest_only: options.ingestOnly ?? false,
      reload_unchanged: options.reloadUnchanged ?? false,
      plan: planToJson(plan),
      group_run_id: groupRun?.id ?? null,
      files_wait_until: groupRun?.filesWaitUntil ?? null,
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
      ...(plan.change === undefined
        ? { kind: "list" as const }
        : { kind: "publish" as const, feed_id: plan.feeds[0]?.feedId ?? null }),
      state: NEW_TASK.state,
      attempt: NEW_TASK.attempt,
      revision: 1,
    })
    .execute();
}
