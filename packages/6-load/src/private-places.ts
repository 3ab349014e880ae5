import { quoteIdentifier } from "./quoting.ts";
import type { Warehouse } from "./warehouse.ts";

/** A private table of a workflow, or the database of a query of it. */
export interface PrivatePlace {
  readonly workflowId: string;
  readonly database: string;
  /** Empty for the database itself. */
  readonly table: string;
}

/** How control names workflows; tables that another one's are named after are not found. */
const WORKFLOW_ID = "wf_[A-Za-z0-9_-]{20}";
const PRIVATE_TABLE = `__(?:stg|pub)_(${WORKFLOW_ID})`;
const QUERY_DATABASE = `^sluice_query_(${WORKFLOW_ID})_`;

/**
 * All that workflows have for themselves, of whatever feed: who knows which of them are over finds what was left behind.
 * A statement that is still on its way when its workflow's tables are dropped makes them anew.
 */
export async function findPrivate(warehouse: Warehouse): Promise<PrivatePlace[]> {
  return await warehouse.query<PrivatePlace>(
    `SELECT extract(name, {table:String}) AS workflowId, database, name AS table FROM system.tables WHERE workflowId != ''
     UNION ALL SELECT extract(name, {query:String}) AS workflowId, name AS database, '' AS table FROM system.databases WHERE workflowId != ''`,
    { table: PRIVATE_TABLE, query: QUERY_DATABASE },
  );
}

/** Drops them; those that are gone meanwhile are no error. */
export async function dropPrivate(
  warehouse: Warehouse,
  places: readonly PrivatePlace[],
): Promise<void> {
  for (const { database, table } of places) {
    const inside = quoteIdentifier(database);
    await warehouse.execute(
      table === ""
        ? `DROP DATABASE IF EXISTS ${inside}`
        : `DROP TABLE IF EXISTS ${inside}.${quoteIdentifier(table)} SYNC`,
    );
  }
}
