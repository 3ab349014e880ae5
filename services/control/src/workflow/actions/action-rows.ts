import { ActionKind, type StageFailure } from "@sluice/api/control/v1/failure_pb";
import { type Kysely, type Selectable, sql } from "kysely";
import type { ActionTable, Schema } from "../../database/schema.ts";
import { makeEtag, makeId } from "../../resources/identity.ts";
import { notFound } from "../../resources/resource-errors.ts";
import type { Change } from "../change.ts";
import type { TaskRow } from "../context.ts";
import { failureToJson } from "../failure.ts";

export type ActionRow = Selectable<ActionTable>;

/** Makes the action of a failure that stopped a task for good. */
export async function insertAction(
  { trx, tenant, workflow }: Change,
  task: TaskRow,
  failure: StageFailure,
): Promise<void> {
  await trx
    .insertInto("action")
    .values({
      tenant,
      id: makeId("act"),
      workflow_id: workflow.id,
      task_id: task.id,
      attempt: task.attempt,
      kind: failure.action === ActionKind.UNSPECIFIED ? ActionKind.RETRY : failure.action,
      failure: failureToJson(failure),
      state: "open",
      etag: makeEtag(),
    })
    .execute();
}

/** Nothing is left to resolve: the workflow has ended for good. */
export async function closeActions({ trx, tenant, workflow }: Change): Promise<void> {
  await trx
    .updateTable("action")
    .set({ state: "stale", etag: makeEtag(), end_time: sql<Date>`now()` })
    .where("tenant", "=", tenant)
    .where("workflow_id", "=", workflow.id)
    .where("state", "=", "open")
    .execute();
}

/** Marks actions as resolved, all by the same resolution. */
export async function markResolved(
  { trx, tenant }: Change,
  ids: readonly string[],
  { resolutionId, restartedAs = "" }: { resolutionId: string; restartedAs?: string },
): Promise<void> {
  if (ids.length === 0) return;
  await trx
    .updateTable("action")
    .set({
      state: "resolved",
      etag: makeEtag(),
      resolution_id: resolutionId,
      restarted_as: restartedAs,
      end_time: sql<Date>`now()`,
    })
    .where("tenant", "=", tenant)
    .where("id", "in", [...ids])
    .execute();
}

/** An action; NOT_FOUND when there is none. */
export async function readAction(
  kysely: Kysely<Schema>,
  tenant: string,
  id: string,
): Promise<ActionRow> {
  const row = await kysely
    .selectFrom("action")
    .selectAll()
    .where("tenant", "=", tenant)
    .where("id", "=", id)
    .executeTakeFirst();
  if (row === undefined) throw notFound("action", id);
  return row;
}

/** The actions of a workflow that wait for somebody, oldest first. */
export async function openActions(
  kysely: Kysely<Schema>,
  tenant: string,
  workflowId: string,
): Promise<ActionRow[]> {
  return await kysely
    .selectFrom("action")
    .selectAll()
    .where("tenant", "=", tenant)
    .where("workflow_id", "=", workflowId)
    .where("state", "=", "open")
    .orderBy("number")
    .execute();
}
