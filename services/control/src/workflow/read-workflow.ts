import { Code, ConnectError } from "@connectrpc/connect";
import type { Task, Workflow } from "@sluice/api/control/v1/workflow_pb";
import type { EngineContext, WorkflowRow } from "./context.ts";
import { type AttemptRow, SHOWN_COLUMNS, toTask, toWorkflow } from "./workflow-message.ts";

/** Attempts of a task that readers are shown. */
const SHOWN_ATTEMPTS = 10;

export async function readRow(context: EngineContext, id: string): Promise<WorkflowRow> {
  const row = await context.kysely
    .selectFrom("workflow")
    .selectAll()
    .where("tenant", "=", context.tenant())
    .where("id", "=", id)
    .executeTakeFirst();
  if (row === undefined) throw new ConnectError(`there is no workflow ${id}`, Code.NotFound);
  return row;
}

/**
 * The workflow as `row` has it, with the tasks that changed after `afterRevision`. A task that
 * changed again since the row was read is left out: it comes with the change it belongs to.
 */
export async function withTasks(
  context: EngineContext,
  row: WorkflowRow,
  afterRevision: number,
): Promise<Workflow> {
  const tasks = await context.kysely
    .selectFrom("task")
    .select(SHOWN_COLUMNS)
    .where("tenant", "=", row.tenant)
    .where("workflow_id", "=", row.id)
    .where("revision", ">", afterRevision)
    .where("revision", "<=", row.revision)
    .orderBy("number")
    .execute();
  const attempts = await attemptsOf(context, row, afterRevision);
  const now = new Date();
  const messages: Task[] = tasks.map((task) => {
    // An attempt that began after the task was read belongs to a later change.
    const shown = (attempts.get(task.id) ?? []).filter((attempt) => attempt.number <= task.attempt);
    return toTask(task, shown.slice(-SHOWN_ATTEMPTS), now);
  });
  return toWorkflow(row, messages, now);
}

async function attemptsOf(
  context: EngineContext,
  row: WorkflowRow,
  afterRevision: number,
): Promise<Map<string, AttemptRow[]>> {
  const rows = await context.kysely
    .selectFrom("attempt")
    .innerJoin("task", (join) =>
      join.onRef("task.tenant", "=", "attempt.tenant").onRef("task.id", "=", "attempt.task_id"),
    )
    .selectAll("attempt")
    .where("task.tenant", "=", row.tenant)
    .where("task.workflow_id", "=", row.id)
    .where("task.revision", ">", afterRevision)
    .where((where) => where("attempt.number", ">", where("task.attempt", "-", SHOWN_ATTEMPTS)))
    .orderBy("attempt.number")
    .execute();
  const byTask = new Map<string, AttemptRow[]>();
  for (const attempt of rows) {
    const list = byTask.get(attempt.task_id);
    if (list === undefined) byTask.set(attempt.task_id, [attempt]);
    else list.push(attempt);
  }
  return byTask;
}
