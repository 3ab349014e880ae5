import { StageError } from "@sluice/errors";
import { clickHouseCodeOf, clickHouseTextOf } from "../translate-clickhouse-error.ts";

/** One thing that is wrong with the SQL of an ingest query. Lines and columns count from 1; 0 is not known. */
export interface QueryFault {
  readonly message: string;
  readonly line: number;
  readonly column: number;
  /** Whether the query wants what it has no right to. */
  readonly isForbidden: boolean;
}

/**
 * Exceptions that are about the SQL and the columns alone, so that ClickHouse's own words say what to change and hold
 * no row data: syntax, unknown names, wrong numbers and types of arguments, ambiguous names, wrong aggregation.
 */
const ABOUT_THE_SQL = new Set([
  62, 47, 60, 46, 42, 43, 207, 179, 215, 184, 53, 63, 80, 386, 456, 403, 48, 344, 10, 16, 352, 450,
  630, 702,
]);
const ACCESS_DENIED = new Set([497, 164, 392]);
const EXPECTED_LIST = /Expected one of: .*/s;
const MAX_MESSAGE = 600;

/** What ClickHouse says of the SQL; undefined when the failure is no fault of the SQL. */
export function queryFaultOf(error: unknown, sql: string): QueryFault | undefined {
  const code = clickHouseCodeOf(error);
  const text = clickHouseTextOf(error);
  if (code === undefined || text === undefined) return undefined;
  if (ACCESS_DENIED.has(code)) {
    const wanted = /the grant (.*?)(?:\. |\.?\s*$)/s.exec(text)?.[1] ?? "what it wants";
    const message = `the query has no right to ${wanted}: it reads its files alone`;
    return { ...nowhere, message, isForbidden: true };
  }
  if (!ABOUT_THE_SQL.has(code)) return undefined;
  const said = bareMessage(text);
  return { ...placeOf(said, sql), message: toMessage(said), isForbidden: false };
}

const nowhere = { line: 0, column: 0 } as const;

/**
 * A failure of a query as a StageError: `query_invalid` and `query_forbidden` tell what ClickHouse says of the SQL,
 * `query_failed` names the exception alone, whose text may hold row data. What may pass by itself stays as it is.
 */
export function translateQueryError(error: unknown, sql: string): StageError {
  const fault = queryFaultOf(error, sql);
  if (fault !== undefined) {
    const { line, column, message, isForbidden } = fault;
    const where = line === 0 ? "" : `line ${line}, column ${column}: `;
    const code = isForbidden ? "query_forbidden" : "query_invalid";
    return new StageError("load", code, `the ingest query: ${where}${message}`, { cause: error });
  }
  const stage =
    error instanceof StageError
      ? error
      : new StageError("load", "unavailable", "the query did not end", { cause: error });
  if (stage.retry === "automatic") return stage;
  const name = exceptionName(error);
  const message = `the ingest query failed on the rows of its files (${name ?? `exception ${clickHouseCodeOf(error)}`}): functions that end in OrNull give null for a value that they cannot read`;
  return new StageError("load", "query_failed", message, { cause: error });
}

/** The server's word for what happened, CANNOT_PARSE_TEXT for one. */
function exceptionName(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  return "type" in error && typeof error.type === "string"
    ? error.type
    : exceptionName(error.cause);
}

/** Without the numbers around it, and without the statement that we wrote around the SQL. */
function bareMessage(text: string): string {
  return text
    .replace(/^Code: \d+\. /, "")
    .replace(/^DB::Exception: /, "")
    .replace(/\s*\([A-Z_0-9]+\) \(version [^)]*\)\s*$/, "")
    .trim();
}

function toMessage(said: string): string {
  const short = said
    .replace(EXPECTED_LIST, "")
    .replace(/: ?failed at position \d+/, "")
    .replace(/ \(line \d+, col \d+\)/, "")
    .replace(/,? ?In scope .*?(?=\. Maybe you meant|$)/is, "")
    .replace(/ in scope .*?(?=\. Maybe you meant|$)/is, "")
    .replace(/\s+/g, " ")
    .replace(/[:.\s]+$/, "");
  return short.length > MAX_MESSAGE ? `${short.slice(0, MAX_MESSAGE)}...` : short;
}

function placeOf(said: string, sql: string): { line: number; column: number } {
  const told = /\(line (\d+), col (\d+)\)/.exec(said);
  // The SQL begins on the second line of what was sent; without line breaks nothing is said but the position.
  if (told !== null) return { line: Math.max(1, Number(told[1]) - 1), column: Number(told[2]) };
  const name = /[`'‘]([^`']+)[`'’]/.exec(said)?.[1];
  const index = name === undefined ? -1 : sql.indexOf(name);
  if (index < 0) return nowhere;
  const before = sql.slice(0, index).split("\n");
  return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
}
