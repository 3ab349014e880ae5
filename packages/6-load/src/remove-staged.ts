import type { Feed, ManifestObject } from "@sluice/schema";
import { ROW_BITS } from "./insert-statement.ts";
import { quoteText } from "./quoting.ts";
import { rejectsTable, stagingRejectsTable, stagingTable } from "./table-names.ts";
import type { Warehouse } from "./warehouse.ts";

/**
 * Removes what a workflow staged of one object, rejects included, those too that a failed workflow let be read. Comes
 * before the object is loaded from its start; repeating it changes nothing.
 */
export async function removeStaged(
  warehouse: Warehouse,
  feed: Feed,
  workflowId: string,
  { ordinal }: Pick<ManifestObject, "ordinal">,
): Promise<void> {
  const at = { source: feed.source, name: feed.name };
  const ofObject = (place: string): string => `bitShiftRight(${place}, ${ROW_BITS}) = ${ordinal}`;
  const remove = async (table: string, condition: string): Promise<void> =>
    await warehouse.execute(
      `ALTER TABLE ${table} DELETE WHERE ${condition} SETTINGS mutations_sync = 1`,
    );
  await remove(stagingTable(at, workflowId).sql, ofObject("toUInt64(_updated)"));
  await remove(stagingRejectsTable(at, workflowId).sql, ofObject("_place"));
  await remove(
    rejectsTable(at).sql,
    `_workflow = ${quoteText(workflowId)} AND ${ofObject("_place")}`,
  );
}
