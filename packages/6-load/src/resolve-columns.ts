import { StageError } from "@sluice/errors";
import {
  type Feed,
  type Field,
  type FieldPath,
  type Findings,
  parseFieldPath,
  type SourceColumn,
} from "@sluice/schema";
import { isCastable } from "./cast/cast-native.ts";
import { type NativePath, nativePath } from "./cast/native-path.ts";
import { sourceKind } from "./cast/source-type.ts";
import { includedFields } from "./columns.ts";

/** Where a field's values come from: a column of the file, or nowhere, which loads as null. */
export interface PlannedField {
  readonly field: Field;
  /** Index in the file's columns; undefined for an absent optional column. */
  readonly sourceIndex: number | undefined;
  readonly column: SourceColumn | undefined;
  /** Of a nested column, the part that the field takes. */
  readonly part?: NativePath;
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

/** How a field's place is spelled in messages. */
const placeOf = (field: Field): string => quoted(field.path ?? field.incomingName);

/**
 * Matches a file's columns to a feed's fields: by the path of those that have one, which a column was cut out
 * by or which leads into a nested column; else by the incoming name without regard to case. Throws one `cast.schema_mismatch` that lists every difference:
 * required columns that are absent, names that two columns share, types that can never become the field's.
 */
export function resolveColumns(feed: Feed, columns: readonly SourceColumn[]): ColumnPlan {
  const differences: string[] = [];
  const warnings: string[] = [];
  const taken = new Set<number>();
  const find = columnFinder(columns);

  const fields = includedFields(feed).map((field): PlannedField => {
    if (field.lineage !== undefined) return lineageField(field, differences);
    const { found, inside } = find(field);
    const [sourceIndex, ...others] = found;
    const column = sourceIndex === undefined ? undefined : columns[sourceIndex];
    if (sourceIndex === undefined || column === undefined) {
      const { difference, warning } = absence(feed, field);
      if (difference !== undefined) differences.push(difference);
      if (warning !== undefined) warnings.push(warning);
      return { field, sourceIndex: undefined, column: undefined };
    }
    if (others.length > 0) {
      differences.push(`${others.length + 1} columns are named ${placeOf(field)}`);
    }
    taken.add(sourceIndex);
    const part = partOf(column, inside);
    // A nested part comes as JSON text, which is text for a string field alone.
    const type = part === undefined || part.isJson ? column.type : part.type;
    if (!isCastable(type, field)) {
      differences.push(
        `the column ${quoted(field.path ?? column.name)} of type ${type} cannot become the ${field.type.kind} ${quoted(field.name)}`,
      );
    }
    return { field, sourceIndex, column, ...(part === undefined ? {} : { part }) };
  });

  const known = new Set(feed.fields.map((field) => field.incomingName.toLowerCase()));
  const extra = columns.filter(
    ({ name, path }, index) =>
      path === undefined && !taken.has(index) && !known.has(name.toLowerCase()),
  );
  if (extra.length > 0) warnings.push(notInTheFeed(extra.map(({ name }) => name)));
  if (differences.length > 0) {
    throw mismatch(
      feed,
      differences,
      columns.map(({ name, path }) => path ?? name),
    );
  }
  return { fields, chosen: [...taken].sort((a, b) => a - b), columns, warnings };
}

/** The type of where a row comes from. */
export const LINEAGE_TYPES = { file: "String", entry: "String", row: "UInt64" } as const;

function lineageField(field: Field, differences: string[]): PlannedField {
  const type = LINEAGE_TYPES[field.lineage ?? "row"];
  if (!isCastable(type, field)) {
    differences.push(
      `the ${field.lineage} of a row cannot become the ${field.type.kind} ${quoted(field.name)}`,
    );
  }
  return { field, sourceIndex: undefined, column: undefined };
}

/**
 * What the whole of an entry told about records that name their own fields, judged like columns that
 * stand in a header: gives the warnings, and throws one `cast.schema_mismatch` that lists every required or
 * primary key column that no record had. Of an entry without a record nothing can be said.
 */
export function judgeFindings(feed: Feed, plan: ColumnPlan, findings: Findings): readonly string[] {
  const absent = new Set(findings.absent);
  const differences: string[] = [];
  const warnings: string[] = [];
  for (const { field, sourceIndex } of plan.fields) {
    if (sourceIndex === undefined || !absent.has(sourceIndex)) continue;
    const { difference, warning } = absence(feed, field);
    if (difference !== undefined) differences.push(difference);
    if (warning !== undefined) warnings.push(warning);
  }
  if (findings.extra.length > 0) warnings.push(notInTheFeed(findings.extra));
  if (differences.length > 0) {
    const seen = plan.columns.filter((_, index) => !absent.has(index));
    throw mismatch(feed, differences, [
      ...seen.map(({ name, path }) => path ?? name),
      ...findings.extra,
    ]);
  }
  return [...warnings, ...findings.warnings];
}

/** The columns that a field may mean, by index: one, or none, or several of one name; and the way on inside of it. */
interface Candidates {
  readonly found: readonly number[];
  readonly inside: FieldPath;
}

function columnFinder(columns: readonly SourceColumn[]): (field: Field) => Candidates {
  const byName = new Map<string, number[]>();
  const byPath = new Map<string, number[]>();
  for (const [index, { name, path }] of columns.entries()) {
    const [map, key] = path === undefined ? [byName, name.toLowerCase()] : [byPath, path];
    map.set(key, [...(map.get(key) ?? []), index]);
  }
  const named = (name: string): readonly number[] => {
    const found = byName.get(name.toLowerCase()) ?? [];
    // Of several columns that differ only by case, the one spelled like the field is meant.
    const exact = found.filter((index) => columns[index]?.name === name);
    return exact.length === 1 ? exact : found;
  };
  return ({ path, incomingName }) => {
    if (path === undefined) return { found: named(incomingName), inside: [] };
    const cut = byPath.get(path);
    if (cut !== undefined) return { found: cut.slice(0, 1), inside: [] };
    const [first, ...inside] = parseFieldPath(path);
    const within = typeof first === "string" ? named(first) : [];
    const reached = within.filter((index) => {
      const column = columns[index];
      return inside.length === 0 || (column !== undefined && partOf(column, inside) !== undefined);
    });
    return { found: reached, inside };
  };
}

/** The part of a nested column that a path inside of it leads to; undefined for a column that is not nested. */
function partOf({ type }: SourceColumn, inside: FieldPath): NativePath | undefined {
  return sourceKind(type) === "nested" ? nativePath(type, inside) : undefined;
}

/** What it means that a field's column is not there. */
function absence(feed: Feed, field: Field): { difference?: string; warning?: string } {
  const isKey = feed.primaryKey.includes(field.name);
  if (field.require || isKey) {
    return {
      difference: `the ${isKey ? "primary key" : "required"} column ${placeOf(field)} is absent`,
    };
  }
  return { warning: `the optional column ${placeOf(field)} is absent; it loads as null` };
}

const notInTheFeed = (names: readonly string[]): string =>
  `not in the feed: ${names.map(quoted).join(", ")}`;

function mismatch(
  feed: Feed,
  differences: readonly string[],
  seen: readonly string[],
): StageError<"cast"> {
  return new StageError("cast", "schema_mismatch", differences.join("; "), {
    seen: seen.map(quoted).join(", "),
    expected: includedFields(feed).map(placeOf).join(", "),
  });
}
