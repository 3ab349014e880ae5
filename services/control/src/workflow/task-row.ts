import { Code, ConnectError } from "@connectrpc/connect";
import { asTenant } from "../tenant.ts";
import type { Change } from "./change.ts";
import type { EngineContext, TaskRow } from "./context.ts";

/**
 * Does a worker's call for the tenant whose task it names: workers work for all of them, and their credential names
 * none. NOT_FOUND when there is no such task.
 */
export async function inTenantOfTask<T>(
  { kysely, tenants }: EngineContext,
  taskId: string,
  work: () => Promise<T>,
): Promise<T> {
  const [only, ...others] = tenants();
  if (only !== undefined && others.length === 0) return await asTenant(only, work);
  const row = await kysely
    .selectFrom("task")
    .select("tenant")
    .where("id", "=", taskId)
    .executeTakeFirst();
  if (row === undefined) throw noTask(taskId);
  return await asTenant(row.tenant, work);
}

/** The workflow that a task belongs to, which never changes. NOT_FOUND when there is no such task. */
export async function workflowOfTask(context: EngineContext, taskId: string): Promise<string> {
  const row = await context.kysely
    .selectFrom("task")
    .select("workflow_id")
    .where("tenant", "=", context.tenant())
    .where("id", "=", taskId)
    .executeTakeFirst();
  if (row === undefined) throw noTask(taskId);
  return row.workflow_id;
}

/** The task as it is now that its workflow is locked. Locked too: leases are renewed without the workflow. */
export async function lockTask(change: Change, taskId: string): Promise<TaskRow> {
  const task = await change.trx
    .selectFrom("task")
    .selectAll()
    .where("tenant", "=", change.tenant)
    .where("id", "=", taskId)
    .forUpdate()
    .executeTakeFirst();
  if (task === undefined) throw noTask(taskId);
  return task;
}

export function noTask(taskId: string): ConnectError {
  return new ConnectError(`there is no task ${taskId}`, Code.NotFound);
}

/** What every call about an attempt that is not the newest live one is answered with. */
export function staleAttempt(
  task: { readonly id: string; readonly state: string; readonly attempt: number },
  attempt: number,
): ConnectError {
  return new ConnectError(
    `attempt ${attempt} of task ${task.id} holds no lease: the task is ${task.state} at attempt ${task.attempt}`,
    Code.FailedPrecondition,
  );
}
