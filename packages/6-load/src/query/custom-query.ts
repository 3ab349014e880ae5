import { randomUUID } from "node:crypto";
import { StageError } from "@sluice/errors";
import type { TableColumn } from "../columns.ts";
import { readColumns } from "../domain-table.ts";
import { quoteIdentifier } from "../quoting.ts";
import { buildTable, type TableAddress, type TableName } from "../table-names.ts";
import { clickHouseCodeOf } from "../translate-clickhouse-error.ts";
import type { Warehouse } from "../warehouse.ts";
import { at, FUNCTIONS, isNamedByWith, TABLE_FUNCTIONS } from "./check-query.ts";
import { type ParsedQuery, parseQuery } from "./parsed-query.ts";
import { type QueryFault, queryFaultOf } from "./query-fault.ts";

/**
 * The query of a custom domain table: one SELECT that people write over domain tables. Two things keep it from anything
 * else. Its tree may name nothing but the tables that control allows, and no function that reads what is no
 * table. And it runs as a view whose definer is the reader, a user who may read domain tables and do nothing else; the
 * loader reads the view.
 */
export interface CustomQuery {
  readonly sql: string;
  /** `database.table`. */
  readonly readableTables: readonly string[];
}

/** The user whose rights the query has. */
const DEFINER = "sluice_reader";
/** A look at a query must end before its caller gives up. */
const LOOK_SECONDS = 25;

const LOOK_ONLY = "no domain table that it may read";

function faultsOf(parsed: ParsedQuery, { sql, readableTables }: CustomQuery): QueryFault[] {
  const forbidden = (word: string | RegExp, message: string): QueryFault => ({
    ...at(sql, word),
    message,
    isForbidden: true,
  });
  if (parsed.statement !== "SelectWithUnionQuery") {
    return [forbidden("", "a custom domain table is one SELECT, and no other statement")];
  }
  const faults: QueryFault[] = [];
  if (parsed.hasMore || parsed.hasSettings) {
    const message = "nothing may stand behind the SELECT: no INTO OUTFILE, FORMAT or SETTINGS";
    faults.push(forbidden(/\b(INTO\s+OUTFILE|FORMAT|SETTINGS)\b/i, message));
  }
  for (const table of parsed.tables) {
    if (readableTables.includes(table)) continue;
    if (!table.includes(".") && isNamedByWith(sql, table)) continue;
    const message = `${table} is ${LOOK_ONLY}: domain tables are written as source.feed`;
    faults.push(forbidden(table, message));
  }
  for (const name of parsed.tableFunctions) {
    if (TABLE_FUNCTIONS.has(name)) continue;
    faults.push(forbidden(name, `the table function ${name}() is not allowed`));
  }
  for (const name of parsed.functions) {
    if (FUNCTIONS.test(name)) {
      faults.push(forbidden(name, `the function ${name}() is not allowed`));
    }
  }
  for (const name of parsed.identifiers) {
    if (/^(system|information_schema)\./i.test(name)) {
      faults.push(forbidden(name, `${name} is ${LOOK_ONLY}`));
    }
  }
  return faults;
}

/** UNKNOWN_TABLE, UNKNOWN_DATABASE: of a table that control allows, so that it is known and was never filled. */
const NOT_THERE_YET = new Set([60, 81]);

/** The failure of a statement about the query as faults of the query; thrown on when it is something else. */
function toFaults(error: unknown, sql: string): QueryFault[] {
  const fault = queryFaultOf(error, sql);
  if (NOT_THERE_YET.has(clickHouseCodeOf(error) ?? 0)) {
    const message =
      "a table that it reads is not there yet: load the feed, or publish the custom table, first";
    return [{ line: 0, column: 0, ...fault, message, isForbidden: false }];
  }
  if (fault === undefined) throw error;
  const message = fault.isForbidden
    ? "the query has no right to something that it reads: it reads domain tables alone"
    : fault.message;
  return [{ ...fault, message }];
}

const newView = (at: TableAddress): TableName =>
  buildTable(at, `look_${randomUUID().replaceAll("-", "")}`, 0);

/** Runs something on the query as a view that is gone afterwards; or says what is wrong with the query. */
async function withView<T>(
  warehouse: Warehouse,
  query: CustomQuery,
  view: TableName,
  run: (view: TableName) => Promise<T>,
): Promise<{ readonly faults: readonly QueryFault[] } | { readonly value: T }> {
  try {
    const faults = faultsOf(await parseQuery(warehouse, query.sql), query);
    if (faults.length > 0) return { faults };
    await warehouse.execute(`CREATE DATABASE IF NOT EXISTS ${quoteIdentifier(view.database)}`);
    await warehouse.execute(
      `CREATE OR REPLACE VIEW ${view.sql} DEFINER = ${DEFINER} SQL SECURITY DEFINER AS SELECT * FROM (\n${query.sql.replace(/;\s*$/, "")}\n)`,
    );
    return { value: await run(view) };
  } catch (error) {
    return { faults: toFaults(error, query.sql) };
  } finally {
    await warehouse.execute(`DROP VIEW IF EXISTS ${view.sql} SYNC`);
  }
}

/** What is wrong with the query, or which columns it gives. Nothing is kept. */
export async function checkCustomQuery(
  warehouse: Warehouse,
  database: string,
  query: CustomQuery,
): Promise<{ readonly faults: readonly QueryFault[]; readonly columns: readonly TableColumn[] }> {
  const at = { source: database, name: "custom" };
  const looked = await withView(warehouse, query, newView(at), async (view) => {
    // What the definer has no right to shows only when it is read.
    await warehouse.query(
      `SELECT * FROM ${view.sql} LIMIT 0 SETTINGS max_execution_time = ${LOOK_SECONDS}`,
    );
    return await readColumns(warehouse, view);
  });
  return "faults" in looked
    ? { faults: looked.faults, columns: [] }
    : { faults: [], columns: looked.value };
}

export interface KeyCandidate {
  readonly columns: readonly string[];
  readonly distinct: number;
  readonly empty: number;
}

/** Pairs are tried of so many columns, the best ones. */
const PAIRED_COLUMNS = 8;

/** How many rows the query gives, and how many differ in each column and in each two that are no key alone. */
export async function findKeys(
  warehouse: Warehouse,
  database: string,
  query: CustomQuery,
): Promise<{
  readonly faults: readonly QueryFault[];
  readonly rows: number;
  readonly candidates: readonly KeyCandidate[];
}> {
  const at = { source: database, name: "custom" };
  const looked = await withView(warehouse, query, newView(at), async (view) => {
    const names = (await readColumns(warehouse, view)).map(({ name }) => name);
    const count = async (
      candidates: readonly (readonly string[])[],
    ): Promise<{ rows: number; candidates: KeyCandidate[] }> => {
      const values = candidates.flatMap((columns) => {
        const list = columns.map(quoteIdentifier);
        const isEmpty = list.map((column) => `isNull(${column})`).join(" OR ");
        return [`toString(uniqExact(tuple(${list.join(", ")})))`, `toString(countIf(${isEmpty}))`];
      });
      const [found] = await warehouse.query<{ counts: string[] }>(
        `SELECT [${["toString(count())", ...values].join(", ")}] AS counts FROM ${view.sql} SETTINGS max_execution_time = ${LOOK_SECONDS}`,
      );
      const numbers = (found?.counts ?? []).map(Number);
      return {
        rows: numbers[0] ?? 0,
        candidates: candidates.map((columns, index) => ({
          columns,
          distinct: numbers[1 + 2 * index] ?? 0,
          empty: numbers[2 + 2 * index] ?? 0,
        })),
      };
    };
    const single = await count(names.map((name) => [name]));
    const best = single.candidates
      .filter(({ distinct }) => distinct < single.rows)
      .sort((a, b) => b.distinct - a.distinct)
      .slice(0, PAIRED_COLUMNS)
      .flatMap(({ columns }) => columns);
    const pairs = best.flatMap((a, index) => best.slice(index + 1).map((b) => [a, b]));
    const paired = pairs.length === 0 ? [] : (await count(pairs)).candidates;
    const candidates = [...single.candidates, ...paired].sort(
      (a, b) => b.distinct - a.distinct || a.columns.length - b.columns.length,
    );
    return { rows: single.rows, candidates };
  });
  return "faults" in looked
    ? { faults: looked.faults, rows: 0, candidates: [] }
    : { faults: [], ...looked.value };
}

/** Fills a new table with the query's rows, once. `load.rejected` with what is wrong with the query. */
export async function fillFromQuery(
  warehouse: Warehouse,
  query: CustomQuery,
  table: TableName,
  view: TableName,
): Promise<void> {
  const filled = await withView(warehouse, query, view, async () => {
    await warehouse.executeOnce(
      `CREATE TABLE ${table.sql} ENGINE = MergeTree ORDER BY tuple() AS SELECT * FROM ${view.sql}`,
    );
  });
  if ("value" in filled) return;
  const [fault] = filled.faults;
  throw new StageError(
    "load",
    "rejected",
    `the query cannot be run: ${fault?.message ?? "nobody knows why"}`,
  );
}
