import type { Feed, ManifestObject } from "@sluice/schema";
import { ROW_BITS } from "./insert-statement.ts";
import { type QueryPlace, queryDatabase } from "./query/query-files.ts";
import { quoteIdentifier, quoteText } from "./quoting.ts";
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
  const [now] = await warehouse.query<{ time: string }>("SELECT toString(now64(3, 'UTC')) AS time");
  await remove(warehouse, stagingTable(at, workflowId).sql, ofObject("_updated", ordinal));
  await remove(warehouse, stagingRejectsTable(at, workflowId).sql, ofObject("_place", ordinal));
  await remove(
    warehouse,
    rejectsTable(at).sql,
    // A statement that comes late, after its repetition, must not find rejects that were published since.
    `_workflow = ${quoteText(workflowId)} AND ${ofObject("_place", ordinal)} AND time < ${quoteText(now?.time ?? "")}`,
  );
}

/** The same for an object that an ingest query will read, of whatever tags. */
export async function removeStagedForQuery(
  warehouse: Warehouse,
  place: QueryPlace,
  { ordinal }: Pick<ManifestObject, "ordinal">,
): Promise<void> {
  const database = queryDatabase(place);
  const found = await warehouse.query<{ table: string; place: string }>(
    "SELECT table, name AS place FROM system.columns WHERE database = {database:String} AND startsWith(table, 'file_') AND name IN ('_updated', '_place')",
    { database },
  );
  for (const { table, place: column } of found) {
    const name = `${quoteIdentifier(database)}.${quoteIdentifier(table)}`;
    await remove(warehouse, name, ofObject(column, ordinal));
  }
}

/** The low half of a row's version is its place; the high half is of the last-updated field. */
const ofObject = (place: string, ordinal: number): string =>
  `bitShiftRight(toUInt64(${place}), ${ROW_BITS}) = ${ordinal}`;

async function remove(warehouse: Warehouse, table: string, condition: string): Promise<void> {
  await warehouse.execute(
    `ALTER TABLE ${table} DELETE WHERE ${condition} SETTINGS mutations_sync = 1`,
  );
}
