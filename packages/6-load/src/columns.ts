import { StageError } from "@sluice/errors";
import type { Feed, Field, FieldType } from "@sluice/schema";
import { fieldOptionProblems } from "./cast/field-options.ts";

/** A column of a table by its name and ClickHouse type. */
export interface TableColumn {
  readonly name: string;
  readonly type: string;
}

/** What every row carries beside its fields: which of two rows is newer, and where it came from. */
export const LINEAGE_COLUMNS: readonly TableColumn[] = [
  { name: "_updated", type: "UInt128" },
  { name: "_file", type: "LowCardinality(String)" },
  { name: "_entry", type: "LowCardinality(String)" },
  { name: "_row", type: "UInt64" },
  { name: "_workflow", type: "LowCardinality(String)" },
];

/** What is known of a refused row. */
export const REJECT_COLUMNS: readonly TableColumn[] = [
  { name: "_workflow", type: "LowCardinality(String)" },
  { name: "_file", type: "LowCardinality(String)" },
  { name: "_entry", type: "LowCardinality(String)" },
  { name: "_row", type: "UInt64" },
  { name: "_offset", type: "UInt64" },
  { name: "stage", type: "LowCardinality(String)" },
  { name: "code", type: "LowCardinality(String)" },
  { name: "field", type: "LowCardinality(String)" },
  { name: "value", type: "String" },
  { name: "message", type: "LowCardinality(String)" },
  { name: "record", type: "String" },
  { name: "time", type: "DateTime64(3, 'UTC')" },
  // What a replay needs; columns that an older release did not have come last, as ALTER adds them.
  { name: "_etag", type: "LowCardinality(String)" },
  { name: "_place", type: "UInt64" },
  { name: "_feed_version", type: "UInt32" },
  { name: "_columns", type: "LowCardinality(String)" },
  { name: "_healed_by", type: "LowCardinality(String)" },
];

/** Rejects that a replay has healed stay as marks without their record, and are shown to nobody. */
export const IS_OPEN_REJECT = "_healed_by = ''";

/** One row of the quarantine for one row of a file. */
export const REJECT_KEY = ["_workflow", "_file", "_entry", "_row"] as const;

/** The ClickHouse type that holds a field's values, before Nullable. */
export function fieldColumnType(type: FieldType): string {
  switch (type.kind) {
    case "boolean":
      return "Bool";
    case "date":
      return "Date32";
    case "datetime":
      return "DateTime64(6, 'UTC')";
    case "decimal":
      return `Decimal(${type.precision}, ${type.scale})`;
    case "float":
      return "Float64";
    case "integer":
      return "Int64";
    case "string":
      return "String";
  }
}

/** The fields that are loaded, in the feed's order. */
export function includedFields(feed: Feed): readonly Field[] {
  return feed.fields.filter((field) => field.include);
}

/** The columns of the included fields: Nullable, except for those of the primary key. */
export function fieldColumns(feed: Feed): readonly TableColumn[] {
  return includedFields(feed).map((field) => {
    const type = fieldColumnType(field.type);
    return {
      name: field.name,
      type: feed.primaryKey.includes(field.name) ? type : `Nullable(${type})`,
    };
  });
}

/** Refuses a feed whose table could not be made or would not mean what it says: `load.rejected`. */
export function assertLoadable(feed: Feed): void {
  const problems: string[] = [];
  const fields = includedFields(feed);
  const seen = new Set<string>();
  for (const field of fields) {
    const { name, type } = field;
    problems.push(...fieldOptionProblems(field));
    if (!/^[A-Za-z0-9_]+$/.test(name))
      problems.push(
        `the field name ${JSON.stringify(name)} has other characters than A-Z a-z 0-9 _`,
      );
    if (seen.has(name.toLowerCase())) problems.push(`the field ${name} is named twice`);
    seen.add(name.toLowerCase());
    if (LINEAGE_COLUMNS.some((column) => column.name === name.toLowerCase())) {
      problems.push(`the field name ${name} is reserved`);
    }
    if (type.kind === "decimal") {
      const { precision, scale } = type;
      const whole = Number.isInteger(precision) && Number.isInteger(scale);
      if (!whole || precision < 1 || precision > 38 || scale < 0 || scale > precision) {
        problems.push(`the field ${name} is no decimal(1 to 38, 0 to precision)`);
      }
    }
  }
  if (feed.primaryKey.length === 0) problems.push("the primary key has no field");
  for (const key of feed.primaryKey) {
    if (!fields.some((field) => field.name === key))
      problems.push(`the primary key field ${JSON.stringify(key)} is not loaded`);
  }
  if (feed.lastUpdatedField !== undefined) {
    const field = fields.find(({ name }) => name === feed.lastUpdatedField);
    if (field === undefined || !["datetime", "integer"].includes(field.type.kind)) {
      problems.push(
        `the last-updated field ${JSON.stringify(feed.lastUpdatedField)} is no loaded datetime or integer`,
      );
    }
  }
  if (problems.length > 0) {
    throw new StageError("load", "rejected", `the feed cannot be loaded: ${problems.join("; ")}`);
  }
}
