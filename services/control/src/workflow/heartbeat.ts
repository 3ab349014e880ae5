import type { TaskProgress } from "@sluice/api/ingest/v1/task_pb";
import type { HeartbeatRequest } from "@sluice/api/ingest/v1/task_service_pb";
import { crashPoint } from "@sluice/errors";
import { sql } from "kysely";
import { inWorkflow, leaseEnd } from "./change.ts";
import type { EngineContext, TaskRow } from "./context.ts";
import { isAhead, progressColumns } from "./progress.ts";
import { isToldToStop, type WorkflowState } from "./state-machine.ts";
import { lockTask, noTask, staleAttempt } from "./task-row.ts";

export interface Renewal {
  readonly stop: boolean;
  readonly expireTime: Date;
}

/**
 * Renews a lease and keeps what the worker tells: what is durable at once, what is merely on its way
 * at most every `progressIntervalMs`. The lease of a worker that is told to stop is not renewed, so
 * that the stop is over in time even if the worker says nothing more.
 */
export async function heartbeat(
  context: EngineContext,
  request: HeartbeatRequest,
): Promise<Renewal> {
  const task = await readHeld(context, request);
  const { progress } = request;
  if (progress !== undefined && isDue(task, progress)) {
    await keepProgress(context, task.workflow_id, request, progress);
    crashPoint("control-progress-recorded");
  }
  if (isToldToStop(task.workflow_state, task.kind)) {
    return { stop: true, expireTime: task.lease_expire_time ?? new Date() };
  }
  return { stop: false, expireTime: await renew(context, request) };
}

type HeldTask = TaskRow & {
  readonly workflow_state: WorkflowState;
  readonly progress_due: boolean;
};

async function readHeld(context: EngineContext, request: HeartbeatRequest): Promise<HeldTask> {
  const task = await context.kysely
    .selectFrom("task")
    .innerJoin("workflow", (join) =>
      join
        .onRef("workflow.tenant", "=", "task.tenant")
        .onRef("workflow.id", "=", "task.workflow_id"),
    )
    .selectAll("task")
    .select([
      "workflow.state as workflow_state",
      sql<boolean>`coalesce(task.progress_time < clock_timestamp()
        - make_interval(secs => ${context.progressIntervalMs / 1000}), true)`.as("progress_due"),
    ])
    .where("task.tenant", "=", context.tenant())
    .where("task.id", "=", request.taskId)
    .executeTakeFirst();
  if (task === undefined) throw noTask(request.taskId);
  if (task.state !== "running" || task.attempt !== request.attempt) {
    throw staleAttempt(task, request.attempt);
  }
  return task;
}

function isDue(task: HeldTask, report: TaskProgress): boolean {
  const { checkpoint, progress } = report;
  if (checkpoint !== undefined && isAhead(task, checkpoint)) return true;
  if (progress === undefined || !task.progress_due) return false;
  return (
    progress.stage !== task.stage ||
    Number(progress.bytesRead) !== task.bytes_read ||
    Number(progress.rows) !== task.rows ||
    Number(progress.rejectedRows) !== task.rejected_rows
  );
}

async function keepProgress(
  context: EngineContext,
  workflowId: string,
  request: HeartbeatRequest,
  progress: TaskProgress,
): Promise<void> {
  await inWorkflow(context, workflowId, async (change) => {
    const task = await lockTask(change, request.taskId);
    if (task.state !== "running" || task.attempt !== request.attempt) {
      throw staleAttempt(task, request.attempt);
    }
    await change.trx
      .updateTable("task")
      .set({ ...progressColumns(change, task, progress), revision: change.revision })
      .where("tenant", "=", change.tenant)
      .where("id", "=", task.id)
      .execute();
    change.set.changed = true;
  });
}

async function renew(context: EngineContext, request: HeartbeatRequest): Promise<Date> {
  const renewed = await context.kysely
    .updateTable("task")
    .set({ lease_expire_time: leaseEnd(context.leaseMs) })
    .where("tenant", "=", context.tenant())
    .where("id", "=", request.taskId)
    .where("attempt", "=", request.attempt)
    .where("state", "=", "running")
    .returning("lease_expire_time")
    .executeTakeFirst();
  const expireTime = renewed?.lease_expire_time;
  if (expireTime !== undefined && expireTime !== null) return expireTime;
  // Lost between the look and the renewal: what is there now says how.
  const task = await readHeld(context, request);
  return task.lease_expire_time ?? new Date();
}
