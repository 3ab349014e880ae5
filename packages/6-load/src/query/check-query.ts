import { StageError } from "@sluice/errors";
import type { Warehouse } from "../warehouse.ts";
import { type ParsedQuery, parseQuery } from "./parsed-query.ts";
import { type QueryFault, queryFaultOf } from "./query-fault.ts";

/** Table functions that read nothing but what stands in the SQL. */
export const TABLE_FUNCTIONS: ReadonlySet<string> = new Set([
  "numbers",
  "numbers_mt",
  "generate_series",
  "generateSeries",
  "values",
]);

/**
 * Functions that read what is no file of the query. The user that runs it has no right to most of it; `file`
 * asks for none in the embedded engine.
 */
export const FUNCTIONS: RegExp =
  /^(file|dict.*|joinGet.*|sleep.*|filesystem.*|getSetting.*|getServerSetting|getMacro|catboostEvaluate|hasColumnInTable|addressTo.*|demangle|initializeAggregation)$/i;

/**
 * What is wrong with an ingest query before it has a file: it has to be one SELECT that reads its files alone. Empty
 * when nothing is. Of its columns nothing can be said yet.
 */
export async function checkQuery(
  warehouse: Warehouse,
  sql: string,
  tags: readonly string[],
): Promise<QueryFault[]> {
  try {
    return faultsOf(await parseQuery(warehouse, sql), sql, tags);
  } catch (error) {
    const fault = queryFaultOf(error, sql);
    if (fault === undefined) throw error;
    return [fault];
  }
}

/** Throws `load.query_invalid` or `load.query_forbidden` with everything that `checkQuery` finds. */
export async function assertQuery(
  warehouse: Warehouse,
  sql: string,
  tags: readonly string[],
): Promise<void> {
  const faults = await checkQuery(warehouse, sql, tags);
  if (faults.length === 0) return;
  const code = faults.some(({ isForbidden }) => isForbidden) ? "query_forbidden" : "query_invalid";
  throw new StageError("load", code, faults.map(describeFault).join("; "));
}

export function describeFault({ message, line, column }: QueryFault): string {
  return line === 0 ? message : `line ${line}, column ${column}: ${message}`;
}

export function faultsOf(parsed: ParsedQuery, sql: string, tags: readonly string[]): QueryFault[] {
  if (parsed.statement !== "SelectWithUnionQuery") {
    return [forbidden(sql, "", "an ingest query is one SELECT, and no other statement")];
  }
  const faults: QueryFault[] = [];
  if (parsed.hasMore) {
    const message = "nothing may stand behind the SELECT: no INTO OUTFILE, no FORMAT, no SETTINGS";
    faults.push(forbidden(sql, /\b(INTO\s+OUTFILE|FORMAT|SETTINGS)\b/i, message));
  } else if (parsed.hasSettings) {
    faults.push(forbidden(sql, /\bSETTINGS\b/i, "an ingest query may not change SETTINGS"));
  }
  const known = tags.map((tag) => JSON.stringify(tag)).join(", ");
  for (const table of parsed.tables) {
    if (tags.includes(table)) continue;
    if (table.includes(".")) {
      const message = `${table} cannot be read: an ingest query reads its files, by their tags ${known}`;
      faults.push(forbidden(sql, table, message));
    } else if (!isNamedByWith(sql, table)) {
      const message = `no file of the query has the tag ${JSON.stringify(table)}; its tags are ${known}`;
      faults.push({ ...at(sql, table), message, isForbidden: false });
    }
  }
  for (const name of parsed.tableFunctions) {
    if (TABLE_FUNCTIONS.has(name)) continue;
    const message = `the table function ${name}() is not allowed: an ingest query reads its files alone`;
    faults.push(forbidden(sql, name, message));
  }
  for (const name of parsed.functions) {
    if (!FUNCTIONS.test(name)) continue;
    const message = `the function ${name}() is not allowed: an ingest query reads its files alone`;
    faults.push(forbidden(sql, name, message));
  }
  for (const name of parsed.identifiers) {
    if (!/^(system|information_schema)\./i.test(name)) continue;
    const message = `${name} cannot be read: an ingest query reads its files alone`;
    faults.push(forbidden(sql, name, message));
  }
  return faults;
}

/** Whether the SQL gives the name to a subquery: the tree does not show the names of WITH. */
export function isNamedByWith(sql: string, name: string): boolean {
  const quoted = name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return new RegExp(`["\`]?${quoted}["\`]?\\s+AS\\s*(MATERIALIZED\\s*)?\\(`, "i").test(sql);
}

const forbidden = (sql: string, word: string | RegExp, message: string): QueryFault => ({
  ...at(sql, word),
  message,
  isForbidden: true,
});

/** Where a word stands first, lines and columns from 1; zeros when it does not. */
export function at(sql: string, word: string | RegExp): { line: number; column: number } {
  const index =
    typeof word === "string" ? (word === "" ? -1 : sql.indexOf(word)) : sql.search(word);
  if (index < 0) return { line: 0, column: 0 };
  const before = sql.slice(0, index).split("\n");
  return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
}
