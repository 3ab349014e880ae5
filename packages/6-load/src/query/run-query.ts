import { StageError } from "@sluice/errors";
import type { ManifestObject } from "@sluice/schema";
import { REJECT_COLUMNS } from "../columns.ts";
import { readColumns } from "../domain-table.ts";
import { CAST_SETTINGS } from "../insert-settings.ts";
import { placeBase, splitRows } from "../insert-statement.ts";
import { uuidOf } from "../publish.ts";
import { quoteIdentifier, quoteText } from "../quoting.ts";
import { type ColumnPlan, resolveColumns } from "../resolve-columns.ts";
import { keepStaged } from "../staging.ts";
import { stagingRejectsTable, stagingTable, type TableName } from "../table-names.ts";
import type { Warehouse } from "../warehouse.ts";
import { assertQuery } from "./check-query.ts";
import { countRepeatedKeys } from "./key-check.ts";
import { translateQueryError } from "./query-fault.ts";
import {
  countFileRows,
  fileAddress,
  nameFileTables,
  type QueryPlace,
  queryDatabase,
} from "./query-files.ts";
import { QUERY_SETTINGS, type ResultColumn, toResultColumns } from "./result-columns.ts";

export interface RunQueryOptions extends QueryPlace {
  readonly warehouse: Warehouse;
  /** The same server by the user that may do nothing but read and fill the query's own database. */
  readonly queryWarehouse: Warehouse;
  /** Grows with every attempt: what earlier ones left behind is theirs no more. */
  readonly attempt: number;
  /** Of the rows among all of the domain table's life. */
  readonly ordinal: number;
  /** What the loads of the files have sent. */
  readonly sent: readonly { readonly key: string; readonly rows: number }[];
  /** Ends what runs, in the server too. */
  readonly signal?: AbortSignal;
}

export interface QueryTotals {
  /** Rows of the result, refused ones included. */
  readonly rows: number;
  readonly rejected: number;
  readonly warnings: readonly string[];
}

/** Rows of a query come from no file. */
const NO_FILE = "";

/**
 * Runs an ingest query over its staged files and leaves its rows in the feed's staging tables, with what of the files
 * could not be read among the rejects. Each try fills tables of its own and then exchanges them with the staging tables,
 * so that whatever crashed before, staging holds the whole result of one try. Throws `load.query_invalid`,
 * `load.query_forbidden`, `load.query_failed`, `cast.schema_mismatch` and `cast.duplicate_key`.
 */
export async function runIngestQuery(options: RunQueryOptions): Promise<QueryTotals> {
  const { warehouse, queryWarehouse, feed, sql, tags } = options;
  await assertQuery(warehouse, sql, tags);
  await assertFilesStaged(options);
  await assertNewest(options);
  await dropEarlierTries(options);
  await nameFileTables(warehouse, options);
  const found = await described(queryWarehouse, sql);
  const columns = toResultColumns(found);
  const plan = resolveColumns(
    feed,
    columns.map(({ source }) => source),
  );
  const done = await warehouse.retrying(options.signal, async (attempt) => {
    const tables = tryTables(options, attempt);
    return { tables, ...(await fill(options, tables, plan, columns)) };
  });
  const warnings = [
    ...plan.warnings,
    ...(await countRepeatedKeys(warehouse, feed, done.tables.rows)),
  ];
  const at = { source: feed.source, name: feed.name };
  await assertNewest(options);
  await exchangeOnce(warehouse, done.tables.rejects, stagingRejectsTable(at, options.workflowId));
  await exchangeOnce(warehouse, done.tables.rows, stagingTable(at, options.workflowId));
  return { rows: done.rows, rejected: done.rejected, warnings };
}

/** Every row that was sent of a file is staged, or refused. */
async function assertFilesStaged(options: RunQueryOptions): Promise<void> {
  const staged = await countFileRows(options.warehouse, options);
  const expected = new Map<string, number>();
  for (const { key, rows } of options.sent) expected.set(key, (expected.get(key) ?? 0) + rows);
  for (const key of new Set([...staged.keys(), ...expected.keys()])) {
    const there = staged.get(key) ?? 0;
    const wanted = expected.get(key) ?? 0;
    if (there === wanted) continue;
    throw new StageError(
      "publish",
      "unverified",
      `${there} rows are staged for the query where ${wanted} were sent`,
      { key, seen: `${there} rows`, expected: `${wanted} rows` },
    );
  }
}

/** The columns of the SELECT, as ClickHouse describes them; reads no row. */
async function described(
  queryWarehouse: Warehouse,
  sql: string,
): Promise<{ name: string; type: string }[]> {
  try {
    return await queryWarehouse.query<{ name: string; type: string }>(`DESCRIBE (\n${sql}\n)`);
  } catch (error) {
    throw translateQueryError(error, sql);
  }
}

interface TryTables {
  readonly result: TableName;
  readonly rows: TableName;
  readonly rejects: TableName;
}

const TRY_PREFIX = "try_";

function tryTables(options: RunQueryOptions, attempt: number): TryTables {
  const database = queryDatabase(options);
  const named = (what: string): TableName => {
    const table = `${TRY_PREFIX}${options.attempt}_${attempt}_${what}`;
    return { database, table, sql: `${quoteIdentifier(database)}.${quoteIdentifier(table)}` };
  };
  return { result: named("result"), rows: named("rows"), rejects: named("rejects") };
}

/**
 * A worker that lost its lease finds its tables gone, and can exchange nothing any more. Not waited for: the server may
 * still fill one of them, for as long as its query takes.
 */
async function dropEarlierTries(options: RunQueryOptions): Promise<void> {
  const { warehouse } = options;
  const database = queryDatabase(options);
  for (const name of await tryNames(options)) {
    await warehouse.execute(
      `DROP TABLE IF EXISTS ${quoteIdentifier(database)}.${quoteIdentifier(name)}`,
    );
  }
}

/** A worker that was taken for dead may have gone on beside its successor. */
async function assertNewest(options: RunQueryOptions): Promise<void> {
  const later = (await tryNames(options)).find(
    (name) => Number(name.slice(TRY_PREFIX.length).split("_")[0]) > options.attempt,
  );
  if (later === undefined) return;
  const message = `a later attempt than ${options.attempt} runs the query`;
  throw new StageError("publish", "conflict", message);
}

async function tryNames(options: RunQueryOptions): Promise<string[]> {
  const found = await options.warehouse.query<{ name: string }>(
    "SELECT name FROM system.tables WHERE database = {database:String} AND startsWith(name, {prefix:String})",
    { database: queryDatabase(options), prefix: TRY_PREFIX },
  );
  return found.map(({ name }) => name);
}

async function fill(
  options: RunQueryOptions,
  { result, rows, rejects }: TryTables,
  plan: ColumnPlan,
  columns: readonly ResultColumn[],
): Promise<{ readonly rows: number; readonly rejected: number }> {
  const { warehouse, queryWarehouse, feed, workflowId, sql, ordinal, signal } = options;
  const at = { source: feed.source, name: feed.name };
  const chosen = plan.chosen.flatMap((index) => {
    const column = columns[index];
    return column === undefined ? [] : [{ ...column, index }];
  });
  const structure = ["_row UInt64", ...chosen.map(({ index, type }) => `c${index} ${type}`)];
  await warehouse.execute(
    `CREATE TABLE ${result.sql} (${structure.join(", ")}) ENGINE = MergeTree ORDER BY _row`,
  );
  await warehouse.execute(`CREATE TABLE ${rows.sql} AS ${stagingTable(at, workflowId).sql}`);
  await warehouse.execute(
    `CREATE TABLE ${rejects.sql} AS ${stagingRejectsTable(at, workflowId).sql}`,
  );
  await keepStaged(warehouse, rows, rejects);
  const values = chosen.map(({ sql: value }) => value);
  try {
    await queryWarehouse.executeLong(
      `INSERT INTO ${result.sql} (${["_row", ...chosen.map(({ index }) => `c${index}`)].join(", ")})\n` +
        `SELECT ${["rowNumberInAllBlocks() + 1", ...values].join(", ")} FROM (\n${sql}\n) SETTINGS ${settings(QUERY_SETTINGS)}`,
      signal,
    );
  } catch (error) {
    signal?.throwIfAborted();
    throw translateQueryError(error, sql);
  }
  const total = await count(warehouse, result.sql);
  const object: ManifestObject = { bucket: "", key: NO_FILE, etag: "", size: 0, ordinal };
  const place = { feed, workflowId, object, entry: "", rowBase: 0, plan };
  const from =
    `SELECT *, ${quoteText(NO_FILE)} AS _file, '' AS _entry, toUInt64(${placeBase(place)} + _row) AS _place, ` +
    "toUInt64(0) AS _offset, CAST(NULL, 'Nullable(String)') AS _fault_code, " +
    `CAST(NULL, 'Nullable(String)') AS _fault_message, CAST(NULL, 'Nullable(String)') AS _fault_raw FROM ${result.sql}`;
  const statements = splitRows(place, "native", from, { rows, rejects });
  await warehouse.executeLong(`${statements.rows} SETTINGS ${settings(COPY_SETTINGS)}`, signal);
  const staged = await count(warehouse, rows.sql);
  if (staged < total) {
    await warehouse.executeLong(
      `${statements.rejects} SETTINGS ${settings(COPY_SETTINGS)}`,
      signal,
    );
  }
  const rejected = await count(warehouse, rejects.sql);
  if (staged + rejected !== total) {
    throw new StageError(
      "publish",
      "unverified",
      `of ${total} rows of the query ${staged} were staged and ${rejected} rejected`,
      { seen: `${staged} + ${rejected} rows`, expected: `${total} rows` },
    );
  }
  await addUnreadRows(options, rejects);
  return { rows: total, rejected };
}

/** What of the files could not be read goes with the query's own rejects. */
async function addUnreadRows(options: RunQueryOptions, into: TableName): Promise<void> {
  const { warehouse, workflowId, tags } = options;
  const names = REJECT_COLUMNS.map(({ name }) => quoteIdentifier(name)).join(", ");
  for (const tag of tags) {
    const unread = stagingRejectsTable(fileAddress(options, tag), workflowId);
    if ((await readColumns(warehouse, unread)).length === 0) continue;
    await warehouse.executeOnce(
      `INSERT INTO ${into.sql} (${names}) SELECT ${names} FROM ${unread.sql} SETTINGS async_insert = 0`,
    );
  }
}

/** Exchanges two tables, and does not exchange them back when the answer got lost. */
async function exchangeOnce(
  warehouse: Warehouse,
  mine: TableName,
  staging: TableName,
): Promise<void> {
  const uuid = await uuidOf(warehouse, mine);
  await warehouse.retrying(undefined, async () => {
    if (uuid !== undefined && (await uuidOf(warehouse, staging)) === uuid) return;
    await warehouse.executeOnce(`EXCHANGE TABLES ${mine.sql} AND ${staging.sql}`);
  });
}

/** Staged rows stay as they are: rows of one primary key are counted before they replace each other. */
const COPY_SETTINGS = { ...CAST_SETTINGS, optimize_on_insert: "0", async_insert: "0" };

const settings = (values: Readonly<Record<string, string>>): string =>
  Object.entries(values)
    .map(([name, value]) => `${name} = ${quoteText(value)}`)
    .join(", ");

async function count(warehouse: Warehouse, table: string): Promise<number> {
  const [found] = await warehouse.query<{ n: string }>(
    `SELECT toString(count()) AS n FROM ${table}`,
  );
  return Number(found?.n ?? 0);
}
