import type { FieldType } from "@sluice/schema";
import { type Guess, guess, shareOf } from "./guess.ts";
import { inferType, typeOfColumn } from "./infer-type.ts";
import { semanticTagsOf } from "./semantic-tags.ts";

/** A column of a sample: the texts of its values, in the order of the rows. */
export interface SampledColumn {
  readonly name: string;
  /** Where the values stand in records; undefined for a member of the record itself, or a column. */
  readonly path?: string;
  /** As `SourceColumn.type`. */
  readonly type: string;
  readonly values: readonly (string | null)[];
}

/** A field that a column could become. */
export interface InferredField {
  readonly incomingName: string;
  readonly path?: string;
  /** For the domain table: unique, of letters, digits and underscores. */
  readonly name: string;
  readonly type: FieldType;
  readonly format?: string;
  readonly thousandsSeparator?: string;
  readonly decimalSeparator?: string;
  readonly isNullable: boolean;
  readonly nullability: Guess<boolean>;
  readonly semanticTags: readonly string[];
  readonly meaning: Guess<readonly string[]>;
  /** Some that differ, cut. */
  readonly sampleValues: readonly string[];
  /** From 0 to 1. */
  readonly nullShare: number;
  readonly confidence: number;
  readonly evidence: string;
  /** The texts of all rows. */
  readonly values: readonly (string | null)[];
}

const MAX_DEPTH = 6;
const MAX_FIELDS = 2_000;
const MAX_SAMPLES = 5;
const MAX_SAMPLE_LENGTH = 100;

/**
 * What the columns of a sample could become. A column of JSON objects becomes a field for each value in them, taken
 * by path; arrays stay whole, as JSON text.
 */
export function inferFields(columns: readonly SampledColumn[]): readonly InferredField[] {
  const names = new Set<string>();
  return columns
    .flatMap((column) => leavesOf(column, 0))
    .slice(0, MAX_FIELDS)
    .map((column) => toField(column, names));
}

function toField(column: SampledColumn, names: Set<string>): InferredField {
  const { name: incomingName, path, type, values } = column;
  const present = values.flatMap((value) => value ?? []);
  const own = typeOfColumn(type);
  const found = inferType(incomingName, present);
  const { value, confidence, evidence } =
    own === undefined
      ? found
      : { value: own, confidence: 1, evidence: `the file declares its values as ${type}` };
  const isEmpty = (one: string | null): boolean =>
    one === null || (one === "" && value.type.kind !== "string");
  const nulls = values.filter(isEmpty).length;
  const words = (path ?? incomingName).split(".");
  const meaning = semanticTagsOf(words.at(-1) ?? incomingName);
  return {
    incomingName: path ?? incomingName,
    ...(path === undefined ? {} : { path }),
    name: uniqueName(path ?? incomingName, names),
    ...value,
    isNullable: nulls > 0,
    nullability: nullabilityOf(nulls, values.length),
    semanticTags: meaning.value,
    meaning,
    sampleValues: [...new Set(present)]
      .slice(0, MAX_SAMPLES)
      .map((text) => text.slice(0, MAX_SAMPLE_LENGTH)),
    nullShare: values.length === 0 ? 0 : nulls / values.length,
    confidence,
    evidence,
    values,
  };
}

/** A row without a value proves that there are such rows; none in a sample proves little, the less the smaller it is. */
function nullabilityOf(nulls: number, rows: number): Guess<boolean> {
  if (nulls > 0) return guess(true, 1, `${shareOf(nulls, rows, "rows")} have no value`);
  const confidence = rows === 0 ? 0 : Math.round((0.9 * rows * 100) / (rows + 10)) / 100;
  return guess(false, confidence, `${shareOf(rows, rows, "rows")} of the sample have a value`);
}

/** Columns of a domain table that are not for fields. */
const RESERVED = ["_updated", "_file", "_entry", "_row", "_workflow"];

function uniqueName(incoming: string, names: Set<string>): string {
  const plain = incoming.normalize("NFKD").replaceAll(/\p{M}/gu, "");
  const base = plain.replaceAll(/[^A-Za-z0-9]+/g, "_").replaceAll(/^_+|_+$/g, "") || "field";
  const start = RESERVED.includes(base.toLowerCase()) ? `field_${base}` : base.slice(0, 180);
  let name = start;
  for (let n = 2; names.has(name.toLowerCase()); n++) name = `${start}_${n}`;
  names.add(name.toLowerCase());
  return name;
}

/** The column itself, or, where it holds objects, their values by path. */
function leavesOf(column: SampledColumn, depth: number): readonly SampledColumn[] {
  const objects = depth < MAX_DEPTH ? objectsOf(column) : undefined;
  if (objects === undefined) return [column];
  const keys = new Set(objects.flatMap((object) => Object.keys(object ?? {})));
  const base = column.path ?? step(column.name);
  return [...keys].flatMap((key) => {
    const values = objects.map((object) => textOf(object?.[key]));
    const path = `${base}.${step(key)}`;
    return leavesOf({ name: path, path, type: "Nullable(String)", values }, depth + 1);
  });
}

const step = (name: string): string => (/^[^.[\]"\\]+$/.test(name) ? name : JSON.stringify(name));

/** The values as objects; undefined unless all that are there are objects, and there is one. */
function objectsOf({
  values,
  type,
}: SampledColumn): readonly (Record<string, unknown> | undefined)[] | undefined {
  if (/^Map\(/.test(type)) return undefined;
  let isAny = false;
  const objects: (Record<string, unknown> | undefined)[] = [];
  for (const value of values) {
    if (value === null) {
      objects.push(undefined);
      continue;
    }
    if (!/^\s*\{/.test(value)) return undefined;
    const object = parse(value);
    if (object === undefined) return undefined;
    isAny ||= Object.keys(object).length > 0;
    objects.push(object);
  }
  return isAny ? objects : undefined;
}

/** What JSON of Node 24 can and the compiler's library does not describe yet. */
interface JsonAsWritten {
  parse(
    text: string,
    reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown,
  ): unknown;
  /** A number that is written so. */
  rawJSON(text: string): object;
}
const json: JsonAsWritten = JSON as unknown as JsonAsWritten;

function parse(text: string): Record<string, unknown> | undefined {
  try {
    // Numbers stay as they are written: as numbers of JavaScript long ones would lose digits.
    const parsed = json.parse(text, (_, value, { source }) =>
      typeof value === "number" && source !== undefined ? json.rawJSON(source) : value,
    );
    return typeof parsed === "object" && parsed !== null ? { ...parsed } : undefined;
  } catch {
    // A value that was cut, or begins like an object and is none, is taken whole.
    return undefined;
  }
}

function textOf(value: unknown): string | null {
  if (value === undefined || value === null) return null;
  return typeof value === "string" ? value : JSON.stringify(value);
}
