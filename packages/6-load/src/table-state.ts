import type { Feed } from "@sluice/schema";
import { type DeleteRule, deleteCondition } from "./delete-rule.ts";
import { type JsonValue, sampleRows } from "./read-domain-table.ts";
import { domainTable, rejectsTable, rowsTable, type TableAddress } from "./table-names.ts";
import type { Warehouse } from "./warehouse.ts";

/** What tells the rows of a domain table from other rows. */
export interface TableState {
  /** Rows that readers see. */
  readonly rows: number;
  /** Made of the versions of all of them: a version is never given twice. */
  readonly fingerprint: string;
}

export async function readTableState(warehouse: Warehouse, at: TableAddress): Promise<TableState> {
  const [found] = await warehouse.query<{ n: string; print: string }>(
    `SELECT toString(count()) AS n, toString(groupBitXor(sipHash64(_updated))) AS print FROM ${domainTable(at).sql}`,
  );
  return { rows: Number(found?.n ?? 0), fingerprint: found?.print ?? "" };
}

/** Rows that tables keep, old versions included; no row is read for it. */
export async function countKept(
  warehouse: Warehouse,
  database: string,
  names: readonly string[],
): Promise<number> {
  const [found] = await warehouse.query<{ n: string }>(
    "SELECT toString(sum(rows)) AS n FROM system.parts WHERE active AND database = {database:String} AND table IN {names:Array(String)}",
    { database, names },
  );
  return Number(found?.n ?? 0);
}

/** Rows of a table, old versions included, up to which a publish counts them: of more it would be a second load. */
const MAX_COUNTED_ROWS = 5_000_000;

/** How many rows readers see, and how many of them a workflow loaded; undefined for a table that is too large to count. */
export async function countVisible(
  warehouse: Warehouse,
  at: TableAddress,
  workflowId: string,
): Promise<{ readonly rows: number; readonly own: number } | undefined> {
  const { database, table } = rowsTable(at);
  // One statement for both: where the condition is false from the start no row is read.
  const [found] = await warehouse.query<{ kept: string | number; n: string; own: string }>(
    `SELECT (SELECT total_rows FROM system.tables WHERE database = {database:String} AND name = {table:String}) AS kept,
       toString(count()) AS n, toString(countIf(_workflow = {workflowId:String})) AS own FROM ${domainTable(at).sql}
     WHERE kept <= ${MAX_COUNTED_ROWS}`,
    { workflowId, database, table },
  );
  if (Number(found?.kept ?? 0) > MAX_COUNTED_ROWS) return undefined;
  return { rows: Number(found?.n ?? 0), own: Number(found?.own ?? 0) };
}

/** What a rule would delete, and the state of the table that this was found in. */
export interface DeleteEffect {
  readonly state: TableState;
  readonly rows: number;
  readonly samples: readonly Record<string, JsonValue>[];
}

export async function readDeleteEffect(
  warehouse: Warehouse,
  feed: Feed,
  rule: DeleteRule,
  maxSamples: number,
): Promise<DeleteEffect> {
  const at = { source: feed.source, name: feed.name };
  const condition = deleteCondition(feed, rule);
  const samples = await sampleRows(warehouse, at, maxSamples, condition);
  const rows = await countMatching(warehouse, at, condition);
  return { state: await readTableState(warehouse, at), rows, samples };
}

export async function countMatching(
  warehouse: Warehouse,
  at: TableAddress,
  condition: string,
): Promise<number> {
  const [found] = await warehouse.query<{ n: string }>(
    `SELECT toString(count()) AS n FROM ${domainTable(at).sql} WHERE ${condition}`,
  );
  return Number(found?.n ?? 0);
}

/** Bytes on disk of the tables behind a domain table, by their names. */
export async function readTableBytes(warehouse: Warehouse, at: TableAddress): Promise<number> {
  const names = [rowsTable(at).table, rejectsTable(at).table, domainTable(at).table];
  const [found] = await warehouse.query<{ bytes: string }>(
    "SELECT toString(sum(bytes_on_disk)) AS bytes FROM system.parts WHERE active AND database = {database:String} AND table IN {names:Array(String)}",
    { database: at.source, names },
  );
  return Number(found?.bytes ?? 0);
}
