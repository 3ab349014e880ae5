import { crashPoint } from "@sluice/errors";
import { addRejectColumns } from "./domain-table.ts";
import { quoteIdentifier } from "./quoting.ts";
import {
  buildPrefix,
  keptPrefix,
  publishingPrefix,
  rejectsTable,
  replayedTable,
  replayingTable,
  rowsTable,
  stagingRejectsTable,
  stagingTable,
  type TableAddress,
  type TableName,
} from "./table-names.ts";
import type { Warehouse } from "./warehouse.ts";

/**
 * The staging table keeps every part as it was inserted: merging would drop rows of one primary key,
 * and staged rows could not be counted against sent ones any more. Publishing ends this.
 */
export const STAGING_ONLY_SETTINGS = {
  max_bytes_to_merge_at_max_space_in_pool: 1,
  max_bytes_to_merge_at_min_space_in_pool: 1,
  parts_to_delay_insert: 100_000,
  parts_to_throw_insert: 100_000,
} as const;

/** Inserts whose tokens the server remembers; more than a staging table may have parts. */
const DEDUPLICATION_WINDOW = 100_000;

const settings = (values: Readonly<Record<string, number>>): string =>
  Object.entries(values)
    .map(([name, value]) => `${name} = ${value}`)
    .join(", ");

/** Makes a workflow's private tables, shaped like the feed's; those that are there stay as they are. */
export async function createStaging(
  warehouse: Warehouse,
  at: TableAddress,
  workflowId: string,
): Promise<void> {
  const rows = stagingTable(at, workflowId);
  const rejects = stagingRejectsTable(at, workflowId);
  await Promise.all([
    warehouse.execute(`CREATE TABLE IF NOT EXISTS ${rows.sql} AS ${rowsTable(at).sql}`),
    warehouse.execute(`CREATE TABLE IF NOT EXISTS ${rejects.sql} AS ${rejectsTable(at).sql}`),
  ]);
  // After a truncate and load the table that is copied was a staging table once: all is said anew.
  await keepStaged(warehouse, rows, rejects);
  await addRejectColumns(warehouse, rejects);
}

/** Lets two tables be staging tables: inserts that are repeated land once, and rows stay as they came. */
export async function keepStaged(
  warehouse: Warehouse,
  rows: TableName,
  rejects: TableName,
): Promise<void> {
  const window = { non_replicated_deduplication_window: DEDUPLICATION_WINDOW };
  const keep = async (table: TableName, values: Readonly<Record<string, number>>): Promise<void> =>
    await warehouse.execute(`ALTER TABLE ${table.sql} MODIFY SETTING ${settings(values)}`);
  await Promise.all([keep(rows, { ...window, ...STAGING_ONLY_SETTINGS }), keep(rejects, window)]);
}

/** A table that a workflow left behind or still works with. */
export interface StagingTable {
  readonly name: string;
  /** Rows, those of one primary key included. */
  readonly rows: number;
  readonly createdAt: Date;
}

/** The private tables of all workflows of a feed: whoever knows which workflows live finds the orphans. */
export async function listStaging(warehouse: Warehouse, at: TableAddress): Promise<StagingTable[]> {
  const found = await warehouse.query<{ name: string; rows: string | null; created: string }>(
    `SELECT name, toString(total_rows) AS rows, toString(toUnixTimestamp(metadata_modification_time)) AS created
     FROM system.tables WHERE database = {database:String}
       AND (startsWith(name, {staging:String}) OR startsWith(name, {publishing:String})) ORDER BY name`,
    { database: at.source, staging: `${at.name}__stg_`, publishing: `${at.name}__pub_` },
  );
  return found.map(({ name, rows, created }) => ({
    name,
    rows: Number(rows ?? 0),
    createdAt: new Date(Number(created) * 1000),
  }));
}

/** The names of the tables that publishing attempts of a workflow hold, latest attempt last. */
export async function listPublishing(
  warehouse: Warehouse,
  at: TableAddress,
  workflowId: string,
): Promise<{ name: string; attempt: number }[]> {
  const prefix = publishingPrefix(at, workflowId);
  const found = await warehouse.query<{ name: string }>(
    "SELECT name FROM system.tables WHERE database = {database:String} AND startsWith(name, {prefix:String})",
    { database: at.source, prefix },
  );
  return found
    .map(({ name }) => ({ name, attempt: Number(name.slice(prefix.length)) }))
    .filter(({ attempt }) => Number.isSafeInteger(attempt))
    .sort((a, b) => a.attempt - b.attempt);
}

/** Drops all private tables of a workflow. After publishing, or to give a workflow up. */
export async function dropStaging(
  warehouse: Warehouse,
  at: TableAddress,
  workflowId: string,
): Promise<void> {
  const drop = async (sql: string): Promise<void> =>
    await warehouse.execute(`DROP TABLE IF EXISTS ${sql} SYNC`);
  await drop(stagingTable(at, workflowId).sql);
  crashPoint("load-half-dropped");
  await drop(stagingRejectsTable(at, workflowId).sql);
  await drop(replayingTable(at, workflowId).sql);
  await drop(replayedTable(at, workflowId).sql);
  for (const { name } of await listPublishing(warehouse, at, workflowId)) {
    await drop(`${quoteIdentifier(at.source)}.${quoteIdentifier(name)}`);
  }
  for (const { sql } of await listTables(warehouse, at, buildPrefix(at, workflowId))) {
    await drop(sql);
  }
}

/** The tables that were replaced and are kept. */
export async function listKept(warehouse: Warehouse, at: TableAddress): Promise<TableName[]> {
  return await listTables(warehouse, at, keptPrefix(at));
}

async function listTables(
  warehouse: Warehouse,
  { source: database }: TableAddress,
  prefix: string,
): Promise<TableName[]> {
  const found = await warehouse.query<{ name: string }>(
    "SELECT name FROM system.tables WHERE database = {database:String} AND startsWith(name, {prefix:String}) ORDER BY name",
    { database, prefix },
  );
  return found.map(({ name }) => ({
    database,
    table: name,
    sql: `${quoteIdentifier(database)}.${quoteIdentifier(name)}`,
  }));
}
