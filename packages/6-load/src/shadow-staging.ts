import type { Feed } from "@sluice/schema";
import { assertLoadable } from "./columns.ts";
import { rejectsTableSql, rowsTableSql } from "./domain-table.ts";
import { quoteIdentifier } from "./quoting.ts";
import { keepStaged } from "./staging.ts";
import { assertTableAddress, stagingRejectsTable, stagingTable } from "./table-names.ts";
import type { Warehouse } from "./warehouse.ts";

/**
 * Makes a workflow's private tables by the feed alone, whatever the domain table looks like, which is not touched:
 * for a draft that is loaded to be looked at. `dropStaging` removes them.
 */
export async function createShadowStaging(
  warehouse: Warehouse,
  feed: Feed,
  workflowId: string,
): Promise<void> {
  const at = { source: feed.source, name: feed.name };
  assertTableAddress(at);
  assertLoadable(feed);
  const rows = stagingTable(at, workflowId);
  const rejects = stagingRejectsTable(at, workflowId);
  await warehouse.execute(`CREATE DATABASE IF NOT EXISTS ${quoteIdentifier(feed.source)}`);
  await warehouse.execute(rowsTableSql(feed, rows));
  await warehouse.execute(rejectsTableSql(rejects));
  await keepStaged(warehouse, rows, rejects);
}
