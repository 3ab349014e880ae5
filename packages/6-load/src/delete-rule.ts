import { StageError } from "@sluice/errors";
import type { Feed, FieldType } from "@sluice/schema";
import { includedFields } from "./columns.ts";
import { quoteIdentifier, quoteText } from "./quoting.ts";

/** Which rows of a domain table to delete. Values are text, as readers see them. */
export interface DeleteRule {
  readonly field: string;
  readonly when:
    | { readonly kind: "older-than"; readonly value: string }
    /** The end is not in it. */
    | { readonly kind: "within"; readonly start: string; readonly end: string }
    | { readonly kind: "equals"; readonly value: string }
    | { readonly kind: "empty" };
}

/** Columns of the service's own that may decide. */
const TEXT_COLUMNS: readonly string[] = ["_file", "_workflow"];

/** A value as a constant of the field's type; ClickHouse refuses one that has another form. */
function constant(type: FieldType, value: string): string {
  const text = quoteText(value);
  switch (type.kind) {
    case "boolean":
      return `CAST(${text}, 'Bool')`;
    case "date":
      return `CAST(${text}, 'Date32')`;
    case "datetime":
      return `parseDateTime64BestEffort(${text}, 6, 'UTC')`;
    case "decimal":
      return `CAST(${text}, 'Decimal(${type.precision}, ${type.scale})')`;
    case "float":
      return `CAST(${text}, 'Float64')`;
    case "integer":
      return `CAST(${text}, 'Int64')`;
    case "string":
      return text;
  }
}

/**
 * What a row that goes fulfils, as an expression that is never NULL. Throws `load.rejected` for a field that the
 * table does not have, or that cannot be compared so.
 */
export function deleteCondition(feed: Feed, { field: name, when }: DeleteRule): string {
  const type: FieldType | undefined = TEXT_COLUMNS.includes(name)
    ? { kind: "string" }
    : includedFields(feed).find((field) => field.name === name)?.type;
  if (type === undefined) {
    throw new StageError(
      "load",
      "rejected",
      `the domain table has no field ${JSON.stringify(name)}`,
    );
  }
  const column = quoteIdentifier(name);
  const known = (condition: string): string => `ifNull(${condition}, false)`;
  switch (when.kind) {
    case "older-than":
      return known(`${column} < ${constant(type, when.value)}`);
    case "within":
      return known(
        `${column} >= ${constant(type, when.start)} AND ${column} < ${constant(type, when.end)}`,
      );
    case "equals":
      return known(`${column} = ${constant(type, when.value)}`);
    case "empty":
      return `isNull(${column})`;
  }
}
