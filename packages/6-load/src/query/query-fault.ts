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
    const wanted = /grant (.*?)\. \(/.exec(text)?.[1] ?? "what it wants";
    const message = `the query has no right to ${wanted}: it reads its files alone`;
    return { ...nowhere, message, isForbidden: true };
  }
  if (!ABOUT_THE_SQL.has(code)) return undefined;
  const said = bareMessage(text);
  return { ...placeOf(said, sql), message: toMessage(said), isForbidden: false };
}

const nowhere = { line: 0, column: 0 } as const;

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
