import type { Kysely } from "kysely";
import type { Schema } from "../../database/schema.ts";
import type { TaskRow } from "../context.ts";
import { type ActionRow, openActions } from "./action-rows.ts";
import { type ObjectRow, readObject } from "./situation.ts";

/** An open action with what failed. */
export interface OpenFailure {
  readonly action: ActionRow;
  readonly task: TaskRow;
  readonly object: ObjectRow | undefined;
}

/** The open failures of an action's workflow, its own first. */
export async function openFailures(
  kysely: Kysely<Schema>,
  action: ActionRow,
): Promise<readonly OpenFailure[]> {
  const found: OpenFailure[] = [];
  for (const open of await openActions(kysely, action.tenant, action.workflow_id)) {
    const task = await kysely
      .selectFrom("task")
      .selectAll()
      .where("tenant", "=", open.tenant)
      .where("id", "=", open.task_id)
      .executeTakeFirstOrThrow();
    const failure = { action: open, task, object: await readObject(kysely, task) };
    if (open.id === action.id) found.unshift(failure);
    else found.push(failure);
  }
  return found;
}

/** Whether two failures are of one object, whatever feed it was loaded into. */
export function isSameObject(a: OpenFailure, b: OpenFailure): boolean {
  return (
    a.object !== undefined &&
    a.task.page === b.task.page &&
    a.task.position === b.task.position &&
    b.object !== undefined
  );
}
