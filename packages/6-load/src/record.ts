import type { SourceColumn } from "@sluice/schema";
import { quoteText } from "./quoting.ts";

/** A member of a record: the column it comes from, and its value as text in SQL. */
export interface RecordMember {
  readonly column: SourceColumn;
  readonly text: string;
}

/**
 * The quarantine's record of a refused row, as JSON text in SQL: one member for each chosen column, in
 * their order, its value as the text that `fromTypedText` reads, or null. Bytes that are no UTF-8 text
 * stand as `{"base64":"..."}`. With `describeColumns` beside it nothing of the values is lost.
 */
export function recordText(members: readonly RecordMember[]): string {
  if (members.length === 0) return "'{}'";
  const parts = members.map(({ column, text }, at) => {
    const name = quoteText(`${at === 0 ? "{" : ","}${JSON.stringify(column.path ?? column.name)}:`);
    const filled = `ifNull(${text}, '')`;
    return `${name}, multiIf(isNull(${text}), 'null', isValidUTF8(${filled}), toJSONString(${filled}), concat('{"base64":"', base64Encode(${filled}), '"}'))`;
  });
  return `concat(${parts.join(", ")}, '}')`;
}

/** The same member read back, as Nullable(String) in SQL. Members are told apart by place, whatever their names. */
export function recordMember(record: string, at: number): string {
  const place = at + 1;
  return (
    `if(JSONType(${record}, ${place}) = 'Object', tryBase64Decode(JSONExtractString(${record}, ${place}, 'base64')), ` +
    `JSONExtract(${record}, ${place}, 'Nullable(String)'))`
  );
}

/** The columns of a record in their order, as the quarantine keeps them beside it. */
export function describeColumns(columns: readonly SourceColumn[]): string {
  return JSON.stringify(
    columns.map(({ name, path, type }) => ({
      name,
      ...(path === undefined ? {} : { path }),
      type,
    })),
  );
}

/** The reverse; undefined for what this was not written by, such as rejects of an older release. */
export function parseColumns(text: string): readonly SourceColumn[] | undefined {
  if (text === "") return undefined;
  const columns: unknown = JSON.parse(text);
  return Array.isArray(columns) && columns.every(isColumn) ? columns : undefined;
}

function isColumn(value: unknown): value is SourceColumn {
  if (typeof value !== "object" || value === null) return false;
  const { name, path, type }: { name?: unknown; path?: unknown; type?: unknown } = value;
  return (
    typeof name === "string" &&
    typeof type === "string" &&
    (path === undefined || typeof path === "string")
  );
}
