import { Notification_Kind } from "@sluice/api/control/v1/notification_pb";
import { sql } from "kysely";
import { notify } from "../notifications/notify.ts";
import type { Trx } from "../workflow/context.ts";
import { startOrExplain } from "./group-run.ts";
import type { GroupContext } from "./groups.ts";
import { isSettled, nextRefresh } from "./refresh-state.ts";
import { type Run, readRuns } from "./run-rows.ts";

/** Starts the refresh whose turn it is, once, whatever other replicas do: whoever locks the run first gives it its workflow. */
export async function beginNextRefresh(context: GroupContext, runId: string): Promise<void> {
  const tenant = context.tenant();
  const hasBegun = await context.kysely.transaction().execute(async (trx) => {
    const run = await lockRun(trx, tenant, runId);
    const position = run === undefined ? undefined : nextRefresh(run);
    const row = position === undefined ? undefined : run?.refreshes[position]?.row;
    if (run === undefined || row === undefined) return false;
    const started = await startOrExplain(() =>
      context.engine.beginRefresh(trx, {
        customTableId: row.custom_table_id,
        groupRunId: runId,
      }),
    );
    await trx
      .updateTable("group_run_refresh")
      .set({ workflow_id: started.workflowId ?? null, problem: started.problem ?? null })
      .where("tenant", "=", tenant)
      .where("run_id", "=", runId)
      .where("position", "=", row.position)
      .execute();
    if (started.problem !== undefined) {
      const table = `${row.source}.${row.name}`;
      const { group_id: groupId, group_name: groupName } = run.row;
      await notify(trx, tenant, {
        kind: Notification_Kind.WORKFLOW_FAILED,
        message: `Custom domain table ${table} of group ${groupName} could not be published anew: ${started.problem}`,
        sources: [row.source],
        groupRunId: runId,
        groupId,
        groupName,
      });
    }
    return true;
  });
  if (!hasBegun) return;
  context.engine.ringTasks();
  context.newsRing();
  context.scheduleBell.ring();
}

/** Leaves a run alone of which nothing goes on, until a workflow of it ends again. */
export async function settle(context: GroupContext, runId: string): Promise<void> {
  const tenant = context.tenant();
  await context.kysely.transaction().execute(async (trx) => {
    const run = await lockRun(trx, tenant, runId);
    if (run === undefined || !isSettled(run)) return;
    await trx
      .updateTable("group_run")
      .set({ settled: true })
      .where("tenant", "=", tenant)
      .where("id", "=", runId)
      .execute();
  });
}

/**
 * A workflow has ended, perhaps one that was resumed: its run is looked at again. It takes its turn with `settle` by the
 * run's row, which it locks whatever stands there.
 */
export async function recordRunEnding(trx: Trx, tenant: string, workflowId: string): Promise<void> {
  await sql`
    update group_run set settled = false
    where tenant = ${tenant} and id = (
      select group_run_id from workflow where tenant = ${tenant} and id = ${workflowId})`.execute(
    trx,
  );
}

/** A run as it is once its row is held; undefined when there is none. */
async function lockRun(trx: Trx, tenant: string, runId: string): Promise<Run | undefined> {
  const row = await trx
    .selectFrom("group_run")
    .selectAll()
    .where("tenant", "=", tenant)
    .where("id", "=", runId)
    .forUpdate()
    .executeTakeFirst();
  if (row === undefined) return undefined;
  const [run] = await readRuns(trx, tenant, [row]);
  return run;
}
