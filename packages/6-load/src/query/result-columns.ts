import { StageError } from "@sluice/errors";
import type { SourceColumn } from "@sluice/schema";
import { JSON_TEXT_SETTINGS } from "../cast/native-path.ts";
import { bareType, isDays, sourceKind } from "../cast/source-type.ts";
import { quoteIdentifier } from "../quoting.ts";
import { FILE_LINEAGE } from "./query-files.ts";

/** A column of a query's result, and how it is kept until it is cast. */
export interface ResultColumn {
  /** As the casts see it. */
  readonly source: SourceColumn;
  /** The type that it is kept as. */
  readonly type: string;
  /** Its value in SQL over the result. */
  readonly sql: string;
}

/** What the SQL of an ingest query means does not depend on a user's profile; an hour is enough for it. */
export const QUERY_SETTINGS: Readonly<Record<string, string>> = {
  session_timezone: "UTC",
  async_insert: "0",
  max_execution_time: "3600",
  output_format_decimal_trailing_zeros: "0",
  ...JSON_TEXT_SETTINGS,
};

const TEXT = "Nullable(String)";

/**
 * The columns of a result as the casts take them: numbers, texts and moments as they are, nested values as JSON text,
 * all others as their text. Where the files' rows stand is left out, as `SELECT *` gives it for every file. Throws
 * `load.query_invalid` when two columns have one name.
 */
export function toResultColumns(
  found: readonly { readonly name: string; readonly type: string }[],
): ResultColumn[] {
  const columns = found.filter(({ name }) => !FILE_LINEAGE.some((lineage) => lineage === name));
  const repeated = columns.find(
    ({ name }, index) => columns.findIndex((column) => column.name === name) < index,
  );
  if (repeated !== undefined) {
    const message = `the ingest query: two columns of the result are named ${JSON.stringify(repeated.name)}; give one another name by AS`;
    throw new StageError("load", "query_invalid", message);
  }
  return columns.map(({ name, type }) => kept(name, type));
}

function kept(name: string, type: string): ResultColumn {
  const column = quoteIdentifier(name);
  const bare = bareType(type);
  const as = (seen: string, stored: string, sql: string): ResultColumn => ({
    source: { name, type: seen },
    type: stored,
    sql,
  });
  if (bare === "Nothing") return as(TEXT, TEXT, "CAST(NULL, 'Nullable(String)')");
  if (isDays(type)) return as("Nullable(Date32)", "Nullable(Int32)", `toInt32(${column})`);
  switch (sourceKind(type)) {
    case "text":
      return as(TEXT, TEXT, column);
    case "nested":
      return as(TEXT, TEXT, `toJSONString(${column})`);
    case "other":
      return /^(JSON|Object|Variant|Dynamic)\b/.test(bare)
        ? as(TEXT, TEXT, `toJSONString(${column})`)
        : as(TEXT, TEXT, `toString(${column})`);
    default:
      return as(`Nullable(${bare})`, `Nullable(${bare})`, column);
  }
}
