import { Code, ConnectError } from "@connectrpc/connect";
import { Stage, type StageFailure } from "@sluice/api/control/v1/failure_pb";
import type { LoadUnitResult } from "@sluice/api/ingest/v1/task_pb";
import { sql } from "kysely";
import { type Change, leaseEnd } from "./change.ts";
import type { EngineContext, TaskRow } from "./context.ts";
import { isRetriedAutomatically, lostWorkerFailure } from "./failure.ts";
import { isDraining } from "./state-machine.ts";
import { stepAll } from "./unit-step.ts";

/**
 * Tasks that are claimed, loaded and ended together, in one lease: that of the first one. What they send has one
 * deduplication token, so who they are must not change while an earlier attempt may have sent it.
 */

/** The tasks of a unit, those that ended too, locked. */
async function lockUnit(change: Change, unit: number): Promise<TaskRow[]> {
  return await change.trx
    .selectFrom("task")
    .selectAll()
    .where("tenant", "=", change.tenant)
    .where("workflow_id", "=", change.workflow.id)
    .where("unit", "=", unit)
    .orderBy("number")
    .forUpdate()
    .execute();
}

async function lockRunning(change: Change, task: TaskRow): Promise<TaskRow[]> {
  const tasks = await lockUnit(change, task.unit ?? task.number);
  return tasks.filter(({ state }) => state === "running");
}

/**
 * Claims what `first` is loaded with, all or nothing, and gives the tasks as they were. A unit that is not whole any
 * more is given up: its tasks wait to be claimed one by one.
 */
export async function claimUnit(
  context: EngineContext,
  change: Change,
  first: TaskRow,
  worker: string,
): Promise<readonly TaskRow[]> {
  const tasks = await lockUnit(change, first.unit ?? first.number);
  const { attempt, unit_tasks } = first;
  const isWhole =
    tasks.length === unit_tasks &&
    tasks.every((task) => task.state === "waiting" && task.attempt === attempt);
  if (!isWhole) {
    await dissolve(
      change,
      tasks.filter(({ state }) => state === "waiting"),
    );
    return [];
  }
  return (await stepAll(context, change, tasks, "claimed", { worker })) ? tasks : [];
}

/** Ends a whole unit well. */
export async function completeUnit(
  context: EngineContext,
  change: Change,
  first: TaskRow,
  result: LoadUnitResult,
): Promise<void> {
  const tasks = await lockRunning(change, first);
  const ended = new Map(result.tasks.map((each) => [each.taskId, each.result]));
  if (ended.size !== tasks.length || !tasks.every(({ id }) => ended.has(id))) {
    throw new ConnectError(
      `result: ${ended.size} tasks were loaded together with ${first.id}, ${tasks.length} are leased together`,
      Code.InvalidArgument,
    );
  }
  change.set.stage = Stage.LOAD;
  const rows = tasks.map((task) => {
    const loaded = ended.get(task.id);
    const [found, refused] = [
      Number(loaded?.checkpoint?.rows ?? 0),
      Number(loaded?.checkpoint?.rejectedRows ?? 0),
    ];
    change.set.bytesRead += task.bytes_total - task.bytes_read;
    change.set.rows += found - task.rows;
    change.set.rejectedRows += refused - task.rejected_rows;
    const { route = "", warnings = [] } = loaded ?? {};
    return { id: task.id, rows: found, refused, route, warnings };
  });
  await sql`
    update task set stage = ${Stage.LOAD}::integer, bytes_read = bytes_total, rows = ended.rows, rejected_rows = ended.refused,
      done_batches = 1, done_rows = ended.rows, done_rejected_rows = ended.refused,
      route = ended.route, warnings = ended.warnings, progress_time = clock_timestamp()
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb)
      as ended(id text, rows bigint, refused bigint, route text, warnings jsonb)
    where task.tenant = ${change.tenant} and task.id = ended.id`.execute(change.trx);
  await stepAll(context, change, tasks, "succeeded", { outcome: "succeeded" });
}

/**
 * Ends an attempt of a whole unit badly. What may help by being tried again is tried together again; otherwise, and
 * once that was done often enough, each of its tasks is loaded by itself, and tells what is wrong with it.
 */
export async function failUnit(
  context: EngineContext,
  change: Change,
  first: TaskRow,
  failure: StageFailure | "lost",
): Promise<void> {
  const tasks = await lockRunning(change, first);
  const isLost = failure === "lost";
  const facts = isLost
    ? ({ outcome: "lost", failure: lostWorkerFailure("load") } as const)
    : ({ outcome: "failed", failure } as const);
  const counted = first.attempt - first.attempt_floor - first.waits;
  const isAgain = isLost || isRetriedAutomatically(failure);
  const isStopped = isDraining(change.condition.state);
  if (isStopped || (isAgain && counted < context.retry.maxAttempts)) {
    await stepAll(context, change, tasks, isLost ? "leaseLost" : "failed", facts);
    return;
  }
  await stepAll(context, change, tasks, "released", facts);
  await dissolve(change, tasks);
}

/**
 * Takes a running task out of its unit, because its object fails by itself. Of the others nothing was sent if they
 * were not leased before: they stay together. Otherwise each is loaded by itself.
 */
export async function leaveUnit(
  context: EngineContext,
  change: Change,
  task: TaskRow,
): Promise<void> {
  const others = (await lockRunning(change, task)).filter(({ id }) => id !== task.id);
  await change.trx
    .updateTable("task")
    .set({ unit: null, unit_tasks: null })
    .where("tenant", "=", change.tenant)
    .where("id", "=", task.id)
    .execute();
  const [first] = others;
  if (first === undefined) return;
  if (task.attempt > 1) {
    await stepAll(context, change, others, "released", { outcome: "lost" });
    await dissolve(change, others);
    return;
  }
  await change.trx
    .updateTable("task")
    .set({
      unit: first.number,
      unit_tasks: others.length,
      lease_expire_time: sql<Date>`case when number = ${first.number}::integer
        then ${leaseEnd(context.leaseMs)} else lease_expire_time end`,
    })
    .where("tenant", "=", change.tenant)
    .where("workflow_id", "=", change.workflow.id)
    .where("unit", "=", task.unit)
    .execute();
}

/** Takes tasks that begin anew out of their units. The others of these units, if they are not done, are loaded one by one. */
export async function giveUpUnits(change: Change, tasks: readonly TaskRow[]): Promise<void> {
  const units = new Set(tasks.flatMap(({ unit }) => unit ?? []));
  if (units.size === 0) return;
  const ids = tasks.map(({ id }) => id);
  await sql`
    update task set unit = null, unit_tasks = null
    where tenant = ${change.tenant} and id = any(${ids}::text[])`.execute(change.trx);
  for (const unit of units) {
    const others = await lockUnit(change, unit);
    await dissolve(
      change,
      others.filter(({ state }) => state !== "succeeded"),
    );
  }
}

/** Has each task be loaded by itself; what may have been staged of it is removed before. */
async function dissolve(change: Change, tasks: readonly TaskRow[]): Promise<void> {
  change.tasksReady = true;
  await sql`
    update task set unit = null, unit_tasks = null, revision = ${change.revision}::bigint,
      generation = generation + case when attempt > 0 then 1 else 0 end
    where tenant = ${change.tenant} and id = any(${tasks.map(({ id }) => id)}::text[])`.execute(
    change.trx,
  );
  change.set.changed = true;
}

/** Whether a task's lease is that of its whole unit. */
export function isFirst(task: TaskRow): boolean {
  return task.unit === task.number;
}
