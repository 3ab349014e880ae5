import { existsSync, readFileSync } from "node:fs";
import { relative } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { parquetMetadata, parquetSchema } from "hyparquet";
import {
  type Corpus,
  type CorpusCase,
  firstDifference,
  type LoadedRow,
  textField,
} from "./corpus-case.ts";
import { filesBelow } from "./files-below.ts";
import { wkbToGeoJson } from "./wkb.ts";

/** `.parquet` files with a `.json` of the same name: the rows, each a list of values. */
export function parquetCorpus(folder: string): Corpus | undefined {
  const files = filesBelow(folder).filter(
    (path) => path.endsWith(".parquet") && existsSync(truthOf(path)),
  );
  if (files.length === 0) return undefined;
  return {
    kind: "Parquet files",
    cases: files.map((path) => toCase(path, relative(folder, path))),
  };
}

const truthOf = (path: string): string => path.replace(/\.parquet$/, ".json");

function toCase(path: string, name: string): CorpusCase {
  const bytes = readFileSync(path);
  const { buffer, byteOffset, byteLength } = bytes;
  const metadata = parquetMetadata(buffer.slice(byteOffset, byteOffset + byteLength));
  const columns = parquetSchema(metadata).children.map(({ element }) => element.name);
  const truth: unknown[][] = JSON.parse(readFileSync(truthOf(path), "utf8"));
  return {
    name,
    bytes,
    settings: { format: { case: "parquet", value: {} } },
    fields: columns.map(textField),
    expect: "loaded",
    judge: (rows) =>
      firstDifference<LoadedRow | readonly unknown[]>(rows, truth, (seen, expected) =>
        columns.every((_, index) => isCell(seen, index, expected)),
      ),
  };
}

function isCell(
  seen: LoadedRow | readonly unknown[],
  index: number,
  expected: LoadedRow | readonly unknown[],
): boolean {
  if (!("values" in seen && "bytes" in seen) || !Array.isArray(expected)) return false;
  const value: unknown = expected[index] ?? null;
  const bytes = seen.bytes[index];
  if (bytes && isShape(value)) return isDeepStrictEqual(wkbToGeoJson(bytes), value);
  return isValue(seen.values[index], value);
}

/** Shapes load as the well-known binary that the file holds; the truth has them as GeoJSON. */
function isShape(value: unknown): boolean {
  if (typeof value !== "object" || value === null || !("type" in value)) return false;
  return "coordinates" in value || "geometries" in value;
}

/** Whether a text, as the table has it, is the value that the truth has as JSON. */
function isValue(seen: unknown, expected: unknown): boolean {
  if (expected === null || seen === null || seen === undefined) return isNothing(seen, expected);
  if (typeof seen === "string" && typeof expected !== "string") {
    if (typeof expected === "number") return isNumber(seen, expected);
    if (typeof expected === "boolean") return seen === String(expected);
    if (Array.isArray(expected) && isBytes(seen, expected)) return true;
    try {
      return isValue(JSON.parse(seen), expected);
    } catch {
      return false;
    }
  }
  if (typeof expected === "string") return isText(seen, expected);
  if (typeof expected === "number") return isNumber(String(seen), expected);
  if (Array.isArray(expected)) {
    return (
      Array.isArray(seen) &&
      seen.length === expected.length &&
      expected.every((value, index) => isValue(seen[index], value))
    );
  }
  if (typeof expected === "object" && typeof seen === "object") {
    const names = new Set([...Object.keys(expected), ...Object.keys(seen)]);
    return [...names].every((name) =>
      isValue(Reflect.get(seen, name) ?? null, Reflect.get(expected, name) ?? null),
    );
  }
  return seen === expected;
}

/**
 * The truth writes NaN as null. ClickHouse has no nullable arrays, maps and tuples: a null one reads as empty, or
 * as a tuple of nothing.
 */
function isNothing(seen: unknown, expected: unknown): boolean {
  if (expected === null) {
    if (seen === null || seen === undefined || seen === "nan" || seen === "NaN") return true;
    const value = typeof seen === "string" && /^[[{]/.test(seen) ? parse(seen) : seen;
    return isEmptyNest(value);
  }
  return false;
}

function isEmptyNest(value: unknown): boolean {
  if (value === null) return true;
  if (Array.isArray(value)) return value.length === 0;
  return typeof value === "object" && value !== null && Object.values(value).every(isEmptyNest);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function isNumber(seen: string, expected: number): boolean {
  const value = Number(seen);
  if (value === expected || Math.fround(value) === Math.fround(expected)) return true;
  // Dates and times stand as numbers of seconds, milliseconds or more in some of the truth.
  const time = Date.parse(`${seen.replace(" ", "T")}Z`);
  return (
    !Number.isNaN(time) &&
    [1, 1e3, 1e6].some((unit) => time * unit === expected || time / 1000 === expected)
  );
}

function isText(seen: unknown, expected: string): boolean {
  if (seen === expected) return true;
  if (typeof seen !== "string") return false;
  // Moments beyond the year 9999 stand as their number since 1970 inside of nested values (docs/types.md).
  if (/^[+-]\d{6}-/.test(expected) && /^-?\d+$/.test(seen)) {
    return [1, 1e3, 1e6].some((unit) => Number(seen) / unit === Date.parse(expected));
  }
  if (/^\d{4}-\d\d-\d\dT/.test(expected)) {
    return (
      Date.parse(`${seen.replace(" ", "T")}${seen.length > 10 ? "Z" : ""}`) === Date.parse(expected)
    );
  }
  return false;
}

function isBytes(seen: string, expected: readonly unknown[]): boolean {
  const bytes = Buffer.from(seen);
  return (
    bytes.length === expected.length && expected.every((value, index) => bytes[index] === value)
  );
}
