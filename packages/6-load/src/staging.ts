import { crashPoint } from "@sluice/errors";
import { type CatalogTable, lookAtTables } from "./catalog.ts";
import { addRejectColumns, type DomainTableShape, hasRejectColumns } from "./domain-table.ts";
import {
  domainTable,
  keptPrefix,
  namedTable,
  privatePrefix,
  publishingPrefix,
  rejectsTable,
  rowsTable,
  stagingRejectsTable,
  stagingTable,
  type TableAddress,
  type TableName,
} from "./table-names.ts";
import {
  clickHouseCodeOf,
  TABLE_ALREADY_EXISTS,
  UNKNOWN_TABLE,
} from "./translate-clickhouse-error.ts";
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

const WINDOW_SETTINGS = { non_replicated_deduplication_window: DEDUPLICATION_WINDOW } as const;
const STAGED_ROWS_SETTINGS = { ...WINDOW_SETTINGS, ...STAGING_ONLY_SETTINGS } as const;

const settings = (values: Readonly<Record<string, number>>): string =>
  Object.entries(values)
    .map(([name, value]) => `${name} = ${value}`)
    .join(", ");

/**
 * Makes a workflow's private tables, shaped like the feed's; those that are there stay as they are. `seen` are the feed's
 * tables as they are now, if the caller has looked: then a table is made with its settings, and not changed afterwards.
 */
export async function createStaging(
  warehouse: Warehouse,
  at: TableAddress,
  workflowId: string,
  seen?: DomainTableShape,
): Promise<void> {
  const rows = stagingTable(at, workflowId);
  const rejects = stagingRejectsTable(at, workflowId);
  const whole = await Promise.all([
    makeLike(warehouse, rows, rowsTable(at), seen?.rows?.engine, STAGED_ROWS_SETTINGS),
    makeLike(warehouse, rejects, rejectsTable(at), seen?.rejects?.engine, WINDOW_SETTINGS),
  ]);
  if (!whole.includes(false) && hasRejectColumns(seen?.rejects?.columns ?? [])) return;
  // After a truncate and load the table that is copied was a staging table once: all is said anew.
  await keepStaged(warehouse, rows, rejects);
  await addRejectColumns(warehouse, rejects);
}

/** Makes a table like another one, unless it is there. Whether it surely has the settings: who found it made knows nothing of them. */
async function makeLike(
  warehouse: Warehouse,
  table: TableName,
  model: TableName,
  engine: string | undefined,
  values: Readonly<Record<string, number>>,
): Promise<boolean> {
  const storage = stagingStorage(engine, values);
  if (storage !== undefined) {
    try {
      await warehouse.execute(`CREATE TABLE ${table.sql} AS ${model.sql} ${storage}`);
      return true;
    } catch (error) {
      if (clickHouseCodeOf(error) !== TABLE_ALREADY_EXISTS) throw error;
    }
  }
  await warehouse.execute(`CREATE TABLE IF NOT EXISTS ${table.sql} AS ${model.sql}`);
  return false;
}

/**
 * The storage of a table with other settings, to stand behind `AS` of that table. Undefined for an engine whose
 * parameters are not to be repeated, such as a path in Keeper.
 */
function stagingStorage(
  engine: string | undefined,
  values: Readonly<Record<string, number>>,
): string | undefined {
  const [, storage, own] =
    /^(ReplacingMergeTree\b.*?)(?: SETTINGS ([\w., =]*))?$/s.exec(engine ?? "") ?? [];
  if (storage === undefined || storage.includes(" SETTINGS ")) return undefined;
  const kept = (own ?? "").split(", ").filter((each) => {
    const [name = ""] = each.split(" = ");
    return name !== "" && !(name in values);
  });
  return `ENGINE = ${storage} SETTINGS ${[...kept, settings(values)].join(", ")}`;
}

/** Lets two tables be staging tables: inserts that are repeated land once, and rows stay as they came. */
export async function keepStaged(
  warehouse: Warehouse,
  rows: TableName,
  rejects: TableName,
): Promise<void> {
  const keep = async (table: TableName, values: Readonly<Record<string, number>>): Promise<void> =>
    await warehouse.execute(`ALTER TABLE ${table.sql} MODIFY SETTING ${settings(values)}`);
  await Promise.all([keep(rows, STAGED_ROWS_SETTINGS), keep(rejects, WINDOW_SETTINGS)]);
}

/** The tables that publishing attempts of a workflow hold, latest attempt last. */
export async function listPublishing(
  warehouse: Warehouse,
  at: TableAddress,
  workflowId: string,
): Promise<readonly HeldTable[]> {
  const prefix = publishingPrefix(at, workflowId);
  const found = await lookAtTables(warehouse, {
    database: at.source,
    names: [],
    prefixes: [prefix],
  });
  return heldBy(found.keys(), prefix);
}

export interface HeldTable {
  readonly name: string;
  readonly attempt: number;
  /** Exchanges of the attempt that it was renamed after. */
  readonly doubts: number;
}

/** Those of some tables that publishing attempts hold, latest attempt last. */
export function heldBy(names: Iterable<string>, prefix: string): HeldTable[] {
  return [...names]
    .filter((name) => name.startsWith(prefix))
    .flatMap((name) => {
      const [whole, attempt, doubts] = /^(\d+)(?:_(\d+))?$/.exec(name.slice(prefix.length)) ?? [];
      return whole === undefined
        ? []
        : [{ name, attempt: Number(attempt), doubts: Number(doubts ?? 0) }];
    })
    .sort((a, b) => a.attempt - b.attempt || a.doubts - b.doubts);
}

/**
 * Drops all private tables of a workflow, and lets the tables that readers see merge again. After publishing, or to give
 * a workflow up. Repeating it changes nothing.
 */
export async function dropStaging(
  warehouse: Warehouse,
  at: TableAddress,
  workflowId: string,
): Promise<void> {
  const drop = async (table: string): Promise<void> =>
    await warehouse.execute(`DROP TABLE IF EXISTS ${namedTable(at, table).sql} SYNC`);
  const staging = stagingTable(at, workflowId).table;
  const own = [privatePrefix(at, workflowId), publishingPrefix(at, workflowId)];
  const found = await lookAtTables(warehouse, {
    database: at.source,
    // A custom domain table is the table itself.
    names: [staging, rowsTable(at).table, domainTable(at).table],
    prefixes: [...own, keptPrefix(at)],
  });
  const isOwn = (table: string): boolean =>
    table === staging || own.some((prefix) => table.startsWith(prefix));
  const [first, ...others] = [...found.keys()].filter(isOwn);
  if (first !== undefined) await drop(first);
  crashPoint("load-half-dropped");
  await Promise.all(others.map(drop));
  const lasting = [...found].filter(([table]) => !isOwn(table));
  await endStagingSettings(warehouse, at, lasting);
}

/**
 * Takes the settings of a staging table from those tables of a feed that outlive a workflow. A table has them when it was
 * published by an exchange, which does not wait for it: until then its parts are only not merged, which no reader sees.
 *
 * Two publishes may follow each other while this looks, so that a name means another table when it is changed: that
 * does no harm, since no table of these names is staged into, and whoever publishes last comes here after it.
 */
async function endStagingSettings(
  warehouse: Warehouse,
  at: TableAddress,
  seen: readonly (readonly [string, CatalogTable])[],
): Promise<void> {
  const names = Object.keys(STAGING_ONLY_SETTINGS);
  const staged = seen.filter(([, { engine }]) =>
    names.some((name) => engine.includes(` ${name} = `)),
  );
  for (const [table] of staged) {
    try {
      await warehouse.execute(
        `ALTER TABLE ${namedTable(at, table).sql} RESET SETTING ${names.join(", ")}`,
      );
    } catch (error) {
      // A kept table that a later publish has put aside since; it is about to be dropped.
      if (clickHouseCodeOf(error) !== UNKNOWN_TABLE) throw error;
    }
  }
}

/** The tables that were replaced and are kept. */
export async function listKept(warehouse: Warehouse, at: TableAddress): Promise<TableName[]> {
  const found = await lookAtTables(warehouse, {
    database: at.source,
    names: [],
    prefixes: [keptPrefix(at)],
  });
  return [...found.keys()].map((name) => namedTable(at, name));
}
