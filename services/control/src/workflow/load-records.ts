import { toJson } from "@bufbuild/protobuf";
import { LoadOperation } from "@sluice/api/control/v1/courier_pb";
import { ColumnSchema } from "@sluice/api/control/v1/domain_table_pb";
import type { TableChange } from "@sluice/api/ingest/v1/table_change_pb";
import type { PublishResult } from "@sluice/api/ingest/v1/task_pb";
import { type Kysely, type Selectable, sql } from "kysely";
import type { LoadRecordTable, Schema, TableChangeKind } from "../database/schema.ts";
import type { Change } from "./change.ts";
import type { TaskRow } from "./context.ts";
import { forgetLoadedFiles } from "./loaded-files.ts";
import { type Plan, planFromJson } from "./plan.ts";

export type LoadRecord = Selectable<LoadRecordTable>;

const KINDS: Record<NonNullable<TableChange["change"]["case"]>, TableChangeKind> = {
  deleteRows: "delete_rows",
  truncate: "truncate",
  undo: "undo",
  // Leaves no record.
  purge: "truncate",
  customTable: "custom_table",
};

/** What a workflow's publishes are on record as. */
export function changeKindOf(plan: Plan): TableChangeKind {
  const kind = plan.change?.change.case;
  if (kind !== undefined) return KINDS[kind];
  return plan.replayOf === undefined ? "load" : "replay";
}

/** The newest change of a domain table that still counts: neither undone nor an undo. */
export async function newestChange(
  kysely: Kysely<Schema>,
  tenant: string,
  feedId: string,
): Promise<LoadRecord | undefined> {
  return await kysely
    .selectFrom("load_record")
    .selectAll()
    .where("tenant", "=", tenant)
    .where("feed_id", "=", feedId)
    .where("undone_by", "is", null)
    .where("change", "<>", "undo")
    .orderBy("number", "desc")
    .limit(1)
    .executeTakeFirst();
}

/** Why a change can't be taken back exactly; empty when it can. */
export function undoRefusal(record: LoadRecord, newest: LoadRecord | undefined): string {
  if (record.undone_by !== null) return `it was undone by workflow ${record.undone_by}`;
  switch (record.change) {
    case "undo":
      return "an undo is not undone: load the files again, or make the change again";
    case "replay":
      return "a replay is not undone: the records of the rejects that it healed are not kept";
    case "custom_table":
      return "a custom domain table is made of other tables: publish it again";
  }
  if (newest !== undefined && newest.number !== record.number) {
    return `workflow ${newest.workflow_id} changed the table later: undo that first`;
  }
  if (record.change !== "load" || record.operation === LoadOperation.TRUNCATE_AND_LOAD) {
    return record.kept ? "" : "the rows that it replaced are not kept any more";
  }
  const { rows_before: before, rows_after: after, own_rows: own } = record;
  if (before === null || after === null) {
    return "the table was too large to count its rows, so nobody knows whether the load replaced some";
  }
  const replaced = own - (after - before);
  return replaced === 0
    ? ""
    : `${replaced} of its rows took the place of earlier ones, which are not kept`;
}

/**
 * Writes down what a publish found, after the load is on record. What was undone, truncated or purged is forgotten as
 * loaded: the same files can be loaded again.
 */
export async function recordOutcome(
  change: Change,
  task: TaskRow,
  result: PublishResult,
): Promise<void> {
  const { trx, tenant } = change;
  const feedId = task.feed_id ?? "";
  const plan = planFromJson(change.workflow.plan);
  const wanted = plan.change?.change;
  await forgetWhatIsGone(change, feedId, wanted);
  if (wanted?.case === "purge") {
    await trx
      .deleteFrom("load_record")
      .where("tenant", "=", tenant)
      .where("feed_id", "=", feedId)
      .execute();
    return;
  }
  const number = (value: bigint | undefined): number | null =>
    value === undefined ? null : Number(value);
  await trx
    .updateTable("load_record")
    .set({
      rows_before: number(result.rowsBefore),
      rows_after: number(result.rowsAfter),
      own_rows: Number(result.ownRows),
      kept: result.keepsReplacedTable,
      ...(wanted?.case === "undo" ? { undoes: wanted.value.workflowId } : {}),
      ...(wanted?.case === "truncate" ? { first_ordinal: await nextOrdinal(change, feedId) } : {}),
    })
    .where("tenant", "=", tenant)
    .where("feed_id", "=", feedId)
    .where("workflow_id", "=", task.workflow_id)
    .execute();
  if (wanted?.case === "customTable") {
    await trx
      .updateTable("custom_domain_table")
      .set({ columns: JSON.stringify(result.columns.map((each) => toJson(ColumnSchema, each))) })
      .where("tenant", "=", tenant)
      .where("id", "=", feedId)
      .execute();
  }
  if (result.keepsReplacedTable) {
    // One replaced table is kept, the last one.
    await trx
      .updateTable("load_record")
      .set({ kept: false })
      .where("tenant", "=", tenant)
      .where("feed_id", "=", feedId)
      .where("workflow_id", "<>", task.workflow_id)
      .execute();
  }
  if (wanted?.case === "undo") {
    await trx
      .updateTable("load_record")
      .set({ undone_by: task.workflow_id, kept: false })
      .where("tenant", "=", tenant)
      .where("feed_id", "=", feedId)
      .where("workflow_id", "=", wanted.value.workflowId)
      .execute();
  }
}

/** A file counts as loaded only while all of its rows are there: of a deletion nobody knows whose rows it took. */
async function forgetWhatIsGone(
  { trx, tenant }: Change,
  feedId: string,
  wanted: TableChange["change"] | undefined,
): Promise<void> {
  if (wanted === undefined || wanted.case === "customTable") return;
  const of =
    wanted.case === "undo" && !wanted.value.restoresReplacedTable
      ? { workflowId: wanted.value.workflowId }
      : {};
  await forgetLoadedFiles(trx, tenant, feedId, of);
}

async function nextOrdinal({ trx, tenant }: Change, feedId: string): Promise<number> {
  const row = await trx
    .selectFrom("object_ordinal")
    .select(sql<number>`next_ordinal`.as("next"))
    .where("tenant", "=", tenant)
    .where("feed_id", "=", feedId)
    .executeTakeFirst();
  return row?.next ?? 1;
}
