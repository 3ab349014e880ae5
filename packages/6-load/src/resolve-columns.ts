import { StageError } from "@sluice/errors";
import type { Feed, Field, SourceColumn } from "@sluice/schema";
import { isCastable } from "./cast/cast-native.ts";
import { includedFields } from "./columns.ts";

/** Where a field's values come from: a column of the file, or nowhere, which loads as null. */
export interface PlannedField {
  readonly field: Field;
  /** Index in the file's columns; undefined for an absent optional column. */
  readonly sourceIndex: number | undefined;
  readonly column: SourceColumn | undefined;
}

/** How the columns of one entry become the fields of a feed. */
export interface ColumnPlan {
  readonly fields: readonly PlannedField[];
  /** Indexes of the file's columns that are loaded, ascending: what 5-batch sends as `c<index>`. */
  readonly chosen: readonly number[];
  /** The file's columns, whole. */
  readonly columns: readonly SourceColumn[];
  /** What differs without harm, in words: absent optional columns, extra ones. */
  readonly warnings: readonly string[];
}

const quoted = (name: string): string => JSON.stringify(name);

/**
 * Matches a file's columns to a feed's incoming names without regard to case. Throws one
 * `cast.schema_mismatch` that lists every difference: required columns that are absent, names that
 * two columns share, types that can never become the field's.
 */
export function resolveColumns(feed: Feed, columns: readonly SourceColumn[]): ColumnPlan {
  const byName = new Map<string, number[]>();
  for (const [index, { name }] of columns.entries()) {
    const key = name.toLowerCase();
    byName.set(key, [...(byName.get(key) ?? []), index]);
  }
  const differences: string[] = [];
  const warnings: string[] = [];
  const taken = new Set<number>();

  const fields = includedFields(feed).map((field): PlannedField => {
    const found = byName.get(field.incomingName.toLowerCase()) ?? [];
    // Of several columns that differ only by case, the one spelled like the field is meant.
    const exact = found.filter((index) => columns[index]?.name === field.incomingName);
    const candidates = exact.length === 1 ? exact : found;
    const [sourceIndex] = candidates;
    const column = sourceIndex === undefined ? undefined : columns[sourceIndex];
    if (sourceIndex === undefined || column === undefined) {
      const isKey = feed.primaryKey.includes(field.name);
      if (field.require || isKey) {
        differences.push(
          `the ${isKey ? "primary key" : "required"} column ${quoted(field.incomingName)} is absent`,
        );
      } else {
        warnings.push(
          `the optional column ${quoted(field.incomingName)} is absent; it loads as null`,
        );
      }
      return { field, sourceIndex: undefined, column: undefined };
    }
    if (candidates.length > 1) {
      differences.push(`${candidates.length} columns are named ${quoted(field.incomingName)}`);
    }
    if (!isCastable(column.type, field)) {
      differences.push(
        `the column ${quoted(column.name)} of type ${column.type} cannot become the ${field.type.kind} ${quoted(field.name)}`,
      );
    }
    taken.add(sourceIndex);
    return { field, sourceIndex, column };
  });

  const known = new Set(feed.fields.map((field) => field.incomingName.toLowerCase()));
  const extra = columns.filter(({ name }) => !known.has(name.toLowerCase()));
  if (extra.length > 0) {
    warnings.push(`not in the feed: ${extra.map(({ name }) => quoted(name)).join(", ")}`);
  }
  if (differences.length > 0) {
    throw new StageError("cast", "schema_mismatch", differences.join("; "), {
      seen: columns.map(({ name }) => quoted(name)).join(", "),
      expected: includedFields(feed)
        .map(({ incomingName }) => quoted(incomingName))
        .join(", "),
    });
  }
  return { fields, chosen: [...taken].sort((a, b) => a - b), columns, warnings };
}
