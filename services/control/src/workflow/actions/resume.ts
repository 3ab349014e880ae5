import { Code, ConnectError } from "@connectrpc/connect";
import { sql } from "kysely";
import { type Change, step, taskCondition } from "../change.ts";
import type { EngineContext, TaskRow } from "../context.ts";
import { makePublishes } from "../effects.ts";
import { failureFromJson } from "../failure.ts";
import { giveUpUnits } from "../load-unit.ts";
import { countTasks, resumeTask, skipTask, type TaskCondition } from "../tally.ts";
import { openActions } from "./action-rows.ts";

/**
 * Has a task wait for its next attempt, whatever it ended with; FAILED_PRECONDITION when there is nothing to try again.
 * `redo`: whether one that succeeded is done again.
 */
export async function runAgain(change: Change, task: TaskRow, redo = false): Promise<void> {
  const next = resumeTask(taskCondition(task), redo);
  if (next === undefined) {
    throw new ConnectError(
      `task ${task.id} is ${task.state}: there is nothing to try again`,
      Code.FailedPrecondition,
    );
  }
  await change.trx
    .updateTable("task")
    .set({
      state: next.state,
      attempt_floor: next.floor,
      waits: next.waits ?? 0,
      available_time: null,
      end_time: null,
      revision: change.revision,
    })
    .where("tenant", "=", change.tenant)
    .where("id", "=", task.id)
    .execute();
}

/** Forgets how far loads were, because other bytes or other settings come: what they staged is removed when they begin. */
export async function beginAnew(change: Change, tasks: readonly TaskRow[]): Promise<void> {
  if (tasks.length === 0) return;
  for (const task of tasks) {
    change.set.rows -= task.rows;
    change.set.rejectedRows -= task.rejected_rows;
    change.set.bytesRead -= task.bytes_read;
  }
  await change.trx
    .updateTable("task")
    .set({
      generation: sql<number>`generation + 1`,
      done_batches: 0,
      done_rows: 0,
      done_rejected_rows: 0,
      rows: 0,
      rejected_rows: 0,
      bytes_read: 0,
      revision: change.revision,
    })
    .where("tenant", "=", change.tenant)
    .where(
      "id",
      "in",
      tasks.map(({ id }) => id),
    )
    .execute();
  await giveUpUnits(change, tasks);
}

/** Takes feeds out of the workflow: nothing of them is loaded or published. */
export async function leaveOut(change: Change, feedIds: readonly string[]): Promise<void> {
  const tasks = await change.trx
    .selectFrom("task")
    .selectAll()
    .where("tenant", "=", change.tenant)
    .where("workflow_id", "=", change.workflow.id)
    .where("feed_id", "in", [...feedIds])
    .where("state", "<>", "skipped")
    .execute();
  for (const task of tasks) {
    const next = skipTask(taskCondition(task));
    if (next === undefined) {
      throw new ConnectError(
        `feed ${task.feed_id} can't be left out: its ${task.kind} is ${task.state}`,
        Code.FailedPrecondition,
      );
    }
    await change.trx
      .updateTable("task")
      .set({ state: next.state, available_time: null, revision: change.revision })
      .where("tenant", "=", change.tenant)
      .where("id", "=", task.id)
      .execute();
  }
}

/** Lets a workflow go on after its tasks were changed. FAILED_PRECONDITION when its state does not allow it. */
export async function goOn(
  context: EngineContext,
  change: Change,
  options: { readonly publishFirst?: readonly string[] } = {},
): Promise<void> {
  await resumeCanceled(change);
  if (options.publishFirst !== undefined) await makePublishes(change, options.publishFirst);
  const next = await step(context, change, undefined, {
    type: "resumed",
    tally: countTasks(await countRows(change), await countFeeds(change)),
  });
  if ("refused" in next) throw notResumable(change);
  const [first] = await openActions(change.trx, change.tenant, change.workflow.id);
  change.set.isFailureOver = true;
  if (first !== undefined) change.set.failure = failureFromJson(first.failure);
  change.tasksReady = true;
}

export function notResumable({ condition, workflow }: Change): ConnectError {
  const why =
    condition.state === "failing"
      ? "still stops what runs: try again when it has failed"
      : `is ${condition.state}: it can't be resumed`;
  return new ConnectError(`workflow ${workflow.id} ${why}`, Code.FailedPrecondition);
}

/** What was canceled because of a failure is wanted again. */
async function resumeCanceled({ trx, tenant, workflow, revision }: Change): Promise<void> {
  await trx
    .updateTable("task")
    .set({
      state: "waiting",
      attempt_floor: sql<number>`attempt`,
      waits: 0,
      available_time: null,
      end_time: null,
      revision,
    })
    .where("tenant", "=", tenant)
    .where("workflow_id", "=", workflow.id)
    .where("state", "=", "canceled")
    .where("kind", "<>", "discard")
    .execute();
}

async function countRows({
  trx,
  tenant,
  workflow,
}: Change): Promise<(TaskCondition & { readonly count: number })[]> {
  const rows = await trx
    .selectFrom("task")
    .select(["kind", "state", sql<boolean>`attempt > attempt_floor`.as("is_begun")])
    .select(sql<number>`count(*)::bigint`.as("count"))
    .where("tenant", "=", tenant)
    .where("workflow_id", "=", workflow.id)
    .groupBy(["kind", "state", "is_begun"])
    .execute();
  return rows.map(({ kind, state, is_begun, count }) => ({
    kind,
    state,
    attempt: is_begun ? 1 : 0,
    floor: 0,
    count,
  }));
}

/** How many feeds the workflow publishes in all. */
async function countFeeds({ trx, tenant, workflow }: Change): Promise<number> {
  const { count } = await trx
    .selectFrom("task")
    .select(sql<number>`count(distinct feed_id)::bigint`.as("count"))
    .where("tenant", "=", tenant)
    .where("workflow_id", "=", workflow.id)
    .where("kind", "in", ["load", "publish"])
    .where("state", "<>", "skipped")
    .executeTakeFirstOrThrow();
  return count;
}
