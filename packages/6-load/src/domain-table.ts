import { randomUUID } from "node:crypto";
import { StageError } from "@sluice/errors";
import type { Feed } from "@sluice/schema";
import { lookAtShapes, type TableShape, toSortingKey } from "./catalog.ts";
import {
  assertLoadable,
  fieldColumns,
  LINEAGE_COLUMNS,
  REJECT_COLUMNS,
  REJECT_KEY,
  type TableColumn,
} from "./columns.ts";
import { quoteIdentifier } from "./quoting.ts";
import {
  assertTableAddress,
  domainTable,
  outdatedTable,
  rejectsTable,
  rowsTable,
  type TableAddress,
  type TableName,
} from "./table-names.ts";
import type { Warehouse } from "./warehouse.ts";

const definitions = (columns: readonly TableColumn[]): string =>
  columns.map(({ name, type }) => `${quoteIdentifier(name)} ${type}`).join(", ");
const names = (columns: readonly string[]): string => columns.map(quoteIdentifier).join(", ");

/** The columns of a table as they are, in order; empty if there is no such table. */
export async function readColumns(
  warehouse: Warehouse,
  { database, table }: TableName,
): Promise<TableColumn[]> {
  return await warehouse.query<TableColumn>(
    "SELECT name, type FROM system.columns WHERE database = {database:String} AND table = {table:String} ORDER BY position",
    { database, table },
  );
}

/** What a table is sorted by; no column if there is no such table. */
export async function readSortingKey(
  warehouse: Warehouse,
  { database, table }: TableName,
): Promise<string[]> {
  const [found] = await warehouse.query<{ key: string }>(
    "SELECT sorting_key AS key FROM system.tables WHERE database = {database:String} AND name = {table:String}",
    { database, table },
  );
  return toSortingKey(found?.key ?? "");
}

/** What of the table is not as the feed has it, in words; columns that the feed lacks do no harm. */
function differences(
  feed: Feed,
  actual: readonly TableColumn[],
  sortingKey: readonly string[],
): string[] {
  const types = new Map(actual.map(({ name, type }) => [name, type]));
  const found = [...fieldColumns(feed), ...LINEAGE_COLUMNS].flatMap(({ name, type }) => {
    const there = types.get(name);
    if (there === type) return [];
    return [`column ${name} is ${there ?? "absent"}, the feed wants ${type}`];
  });
  if (sortingKey.join() !== feed.primaryKey.join()) {
    found.push(
      `the sort key is (${sortingKey.join(", ")}), the feed's primary key is (${feed.primaryKey.join(", ")})`,
    );
  }
  return found;
}

/** What keeps a table from holding the rows of a feed as it is now, in words; nothing when it can. */
export async function differencesFrom(
  warehouse: Warehouse,
  feed: Feed,
  table: TableName,
): Promise<string[]> {
  return differences(
    feed,
    await readColumns(warehouse, table),
    await readSortingKey(warehouse, table),
  );
}

/** Whether a quarantine has all columns that this release gives one. */
export function hasRejectColumns(columns: readonly Pick<TableColumn, "name">[]): boolean {
  const there = new Set(columns.map(({ name }) => name));
  return REJECT_COLUMNS.every(({ name }) => there.has(name));
}

/** Gives a quarantine of an older release the columns that it lacks. */
export async function addRejectColumns(warehouse: Warehouse, rejects: TableName): Promise<void> {
  const there = new Set((await readColumns(warehouse, rejects)).map(({ name }) => name));
  const absent = REJECT_COLUMNS.filter(({ name }) => !there.has(name));
  if (there.size === 0 || absent.length === 0) return;
  const clauses = absent.map(
    ({ name, type }) => `ADD COLUMN IF NOT EXISTS ${quoteIdentifier(name)} ${type}`,
  );
  await warehouse.execute(`ALTER TABLE ${rejects.sql} ${clauses.join(", ")}`);
}

/** Gives a rows table the columns of a newer version. */
async function addRowColumns(warehouse: Warehouse, feed: Feed, rows: TableName): Promise<void> {
  const before = new Set((await readColumns(warehouse, rows)).map(({ name }) => name));
  const added = fieldColumns(feed).filter(
    ({ name }) => !before.has(name) && !feed.primaryKey.includes(name),
  );
  if (added.length === 0) return;
  const clauses = added.map(
    ({ name, type }) => `ADD COLUMN IF NOT EXISTS ${quoteIdentifier(name)} ${type}`,
  );
  await warehouse.execute(`ALTER TABLE ${rows.sql} ${clauses.join(", ")}`);
}

/** Makes a table that holds a feed's rows: the newest of each primary key, once it has merged. */
export function rowsTableSql(feed: Feed, table: TableName): string {
  const wanted = [...fieldColumns(feed), ...LINEAGE_COLUMNS];
  return `CREATE TABLE IF NOT EXISTS ${table.sql} (${definitions(wanted)}) ENGINE = ReplacingMergeTree(_updated) ORDER BY (${names(feed.primaryKey)})`;
}

/** Makes a table that holds refused rows. */
export function rejectsTableSql(table: TableName): string {
  return `CREATE TABLE IF NOT EXISTS ${table.sql} (${definitions(REJECT_COLUMNS)}) ENGINE = ReplacingMergeTree ORDER BY (${names(REJECT_KEY)})`;
}

/**
 * Removes a rows table that has none, so that it can be made anew by another version of its feed. It is given another
 * name first: whoever publishes into it meanwhile finds no table, and no row of theirs goes with it.
 */
async function removeEmptyRows(warehouse: Warehouse, at: TableAddress): Promise<boolean> {
  const count = async ({ sql }: TableName): Promise<number> => {
    const [found] = await warehouse.query<{ n: string }>(
      `SELECT toString(count()) AS n FROM ${sql}`,
    );
    return Number(found?.n);
  };
  const rows = rowsTable(at);
  if ((await count(rows)) > 0) return false;
  const aside = outdatedTable(at, randomUUID().replaceAll("-", ""));
  await warehouse.executeOnce(`RENAME TABLE ${rows.sql} TO ${aside.sql}`);
  if ((await count(aside)) > 0) {
    await warehouse.executeOnce(`RENAME TABLE ${aside.sql} TO ${rows.sql}`);
    return false;
  }
  await warehouse.execute(`DROP TABLE IF EXISTS ${aside.sql} SYNC`);
  return true;
}

/** The tables behind a feed at one moment, whatever they look like. */
export interface DomainTableShape {
  readonly rows: TableShape | undefined;
  readonly rejects: TableShape | undefined;
  readonly view: TableShape | undefined;
}

/** Looks at the tables behind a feed, and changes nothing. */
export async function lookAtDomainTable(
  warehouse: Warehouse,
  at: TableAddress,
): Promise<DomainTableShape> {
  const [rows, rejects, view] = [rowsTable(at), rejectsTable(at), domainTable(at)];
  const found = await lookAtShapes(warehouse, [rows, rejects, view]);
  return {
    rows: found.get(rows.table),
    rejects: found.get(rejects.table),
    view: found.get(view.table),
  };
}

const wantedColumns = (feed: Feed): readonly TableColumn[] => [
  ...fieldColumns(feed),
  ...LINEAGE_COLUMNS,
];

const asText = (columns: readonly TableColumn[]): string =>
  columns.map(({ name, type }) => `${name} ${type}`).join();

/** Whether the tables behind a feed are as it wants them. */
function isAsWanted(feed: Feed, { rows, rejects, view }: DomainTableShape): boolean {
  return (
    rows !== undefined &&
    rejects !== undefined &&
    view !== undefined &&
    differences(feed, rows.columns, rows.sortingKey).length === 0 &&
    hasRejectColumns(rejects.columns) &&
    asText(view.columns) === asText(wantedColumns(feed))
  );
}

/**
 * Makes the database, the rows and rejects tables and the view of a feed, and adds the columns of a
 * newer version. May be called again and by several at once. Throws `load.table_changed` naming every
 * difference that cannot be mended by adding a column; a table without a row is made anew instead. Gives the tables as
 * they are then. `seen` is a look that was taken before: when all was as it should be, nothing is asked.
 */
export async function prepareDomainTable(
  warehouse: Warehouse,
  feed: Feed,
  seen?: DomainTableShape,
): Promise<DomainTableShape> {
  const at = { source: feed.source, name: feed.name };
  assertTableAddress(at);
  assertLoadable(feed);
  const look = seen ?? (await lookAtDomainTable(warehouse, at));
  if (isAsWanted(feed, look)) return look;
  await makeDomainTable(warehouse, feed, at);
  return await lookAtDomainTable(warehouse, at);
}

async function makeDomainTable(warehouse: Warehouse, feed: Feed, at: TableAddress): Promise<void> {
  const rows = rowsTable(at);
  const wanted = wantedColumns(feed);

  await warehouse.execute(`CREATE DATABASE IF NOT EXISTS ${quoteIdentifier(feed.source)}`);
  await warehouse.execute(rowsTableSql(feed, rows));
  await warehouse.execute(rejectsTableSql(rejectsTable(at)));

  await addRejectColumns(warehouse, rejectsTable(at));

  await addRowColumns(warehouse, feed, rows);
  const isDifferent = async (): Promise<string[]> =>
    differences(feed, await readColumns(warehouse, rows), await readSortingKey(warehouse, rows));
  let different = await isDifferent();
  if (different.length > 0 && (await removeEmptyRows(warehouse, at))) {
    await warehouse.execute(rowsTableSql(feed, rows));
    different = await isDifferent();
  }
  if (different.length > 0) {
    throw new StageError("load", "table_changed", different.join("; "));
  }

  const view = domainTable(at);
  const shown = await readColumns(warehouse, view);
  if (asText(shown) !== asText(wanted)) {
    await warehouse.execute(
      `CREATE OR REPLACE VIEW ${view.sql} AS SELECT ${names(wanted.map(({ name }) => name))} FROM ${rows.sql} FINAL`,
    );
  }
}
