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

/** A way in which a file's columns are not a feed's fields. */
export interface ColumnDifference {
  readonly kind:
    | "missing_required"
    | "missing_optional"
    | "wrong_type"
    | "ambiguous"
    | "extra_column";
  /** Whether a load fails of it. */
  readonly isError: boolean;
  /** The field's name; empty for a column that no field takes. */
  readonly field: string;
  /** The column's name or path, as the feed spells it if the file has none. */
  readonly column: string;
  readonly message: string;
}

/**
 * Matches a file's columns to a feed's fields: by the path of those that have one, which a column was cut out
 * by or which leads into a nested column; else by the incoming name without regard to case. Throws one `cast.schema_mismatch` that lists every difference:
 * required columns that are absent, names that two columns share, types that can never become the field's.
 */
export function resolveColumns(feed: Feed, columns: readonly SourceColumn[]): ColumnPlan {
  const { plan, differences } = matchColumns(feed, columns);
  const errors = differences.filter(({ isError }) => isError);
  if (errors.length > 0) {
    const messages = errors.map(({ message }) => message);
    // Text alone has no columns when it has no line: whoever sent nothing is not helped by a list of fields.
    const empty = "the file is empty: it has neither a header nor a record";
    throw mismatch(
      feed,
      columns.length === 0 ? [empty, ...messages] : messages,
      columns.map(({ name, path }) => path ?? name),
    );
  }
  return plan;
}

/** The same, with every difference told; in the plan a field whose column cannot become it takes none. */
export function matchColumns(
  feed: Feed,
  columns: readonly SourceColumn[],
): { readonly plan: ColumnPlan; readonly differences: readonly ColumnDifference[] } {
  const differences: ColumnDifference[] = [];
  const taken = new Set<number>();
  const find = columnFinder(columns);

  const fields = includedFields(feed).map((field): PlannedField => {
    if (field.lineage !== undefined) return lineageField(field, differences);
    const { found, inside } = find(field);
    const [sourceIndex, ...others] = found;
    const column = sourceIndex === undefined ? undefined : columns[sourceIndex];
    if (sourceIndex === undefined || column === undefined) {
      differences.push(absence(feed, field));
      return { field, sourceIndex: undefined, column: undefined };
    }
    const error = { isError: true, field: field.name, column: field.path ?? column.name };
    if (others.length > 0) {
      const message = `${others.length + 1} columns are named ${placeOf(field)}`;
      differences.push({ ...error, kind: "ambiguous", message });
    }
    taken.add(sourceIndex);
    const part = partOf(column, inside);
    // A nested part comes as JSON text, which is text for a string field alone.
    const type = part === undefined || part.isJson ? column.type : part.type;
    if (!isCastable(type, field)) {
      const message = `the column ${quoted(field.path ?? column.name)} of type ${type} cannot become the ${field.type.kind} ${quoted(field.name)}`;
      differences.push({ ...error, kind: "wrong_type", message });
      return { field, sourceIndex: undefined, column: undefined };
    }
    return { field, sourceIndex, column, ...(part === undefined ? {} : { part }) };
  });

  const known = new Set(feed.fields.map((field) => field.incomingName.toLowerCase()));
  const extra = columns.filter(
    ({ name, path }, index) =>
      path === undefined && !taken.has(index) && !known.has(name.toLowerCase()),
  );
  const warnings = differences.flatMap(({ isError, message }) => (isError ? [] : [message]));
  if (extra.length > 0) warnings.push(notInTheFeed(extra.map(({ name }) => name)));
  const chosen = [...taken].sort((a, b) => a - b);
  return {
    plan: { fields, chosen, columns, warnings },
    differences: [...differences, ...extraColumns(extra.map(({ name }) => name))],
  };
}

const extraColumns = (names: readonly string[]): readonly ColumnDifference[] =>
  names.map((column) => ({
    kind: "extra_column",
    isError: false,
    field: "",
    column,
    message: notInTheFeed([column]),
  }));

/** The type of where a row comes from. */
export const LINEAGE_TYPES = { file: "String", entry: "String", row: "UInt64" } as const;

function lineageField(field: Field, differences: ColumnDifference[]): PlannedField {
  const type = LINEAGE_TYPES[field.lineage ?? "row"];
  if (!isCastable(type, field)) {
    const message = `the ${field.lineage} of a row cannot become the ${field.type.kind} ${quoted(field.name)}`;
    differences.push({
      kind: "wrong_type",
      isError: true,
      field: field.name,
      column: field.incomingName,
      message,
    });
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
  const differences = absentFields(feed, plan, findings);
  const errors = differences.filter(({ isError }) => isError);
  if (errors.length > 0) {
    const seen = plan.columns.filter((_, index) => !absent.has(index));
    throw mismatch(
      feed,
      errors.map(({ message }) => message),
      [...seen.map(({ name, path }) => path ?? name), ...findings.extra],
    );
  }
  const warnings = differences.map(({ message }) => message);
  if (findings.extra.length > 0) warnings.push(notInTheFeed(findings.extra));
  return [...warnings, ...findings.warnings];
}

/** The same, with every difference told. */
export function matchFindings(
  feed: Feed,
  plan: ColumnPlan,
  findings: Findings,
): readonly ColumnDifference[] {
  return [...absentFields(feed, plan, findings), ...extraColumns(findings.extra)];
}

function absentFields(
  feed: Feed,
  plan: ColumnPlan,
  findings: Findings,
): readonly ColumnDifference[] {
  const absent = new Set(findings.absent);
  return plan.fields
    .filter(({ sourceIndex }) => sourceIndex !== undefined && absent.has(sourceIndex))
    .map(({ field }) => absence(feed, field));
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
function absence(feed: Feed, field: Field): ColumnDifference {
  const isKey = feed.primaryKey.includes(field.name);
  const isError = field.require || isKey;
  const common = { isError, field: field.name, column: field.path ?? field.incomingName };
  if (!isError) {
    const message = `the optional column ${placeOf(field)} is absent; it loads as null`;
    return { ...common, kind: "missing_optional", message };
  }
  const message = `the ${isKey ? "primary key" : "required"} column ${placeOf(field)} is absent`;
  return { ...common, kind: "missing_required", message };
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
