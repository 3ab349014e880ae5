import { mapScalars, parseType, printType, type ScalarRule } from "./native-type.ts";
import { bareType, isDays, isNanoseconds, sourceKind } from "./source-type.ts";

/**
 * A value of a column that was asked for as `readType`, as the casts take it, of the type `carriedType`.
 * What ClickHouse would show as another moment becomes a number: inside of nested values every
 * moment is its ticks since 1970, and INT96 is nanoseconds everywhere.
 */
export function carried(value: string, type: string): string {
  if (sourceKind(type) === "nested") return mapScalars(value, parseType(type), carriedInside);
  return isNanoseconds(type) ? mapScalars(value, { kind: "scalar", type }, carriedInside) : value;
}

const like = (type: string, bare: string): string =>
  type.startsWith("Nullable(") ? `Nullable(${bare})` : bare;

/** Scalars inside of nested values: days, ticks and nanoseconds, as numbers that lose nothing as text. */
const carriedInside: ScalarRule = (type) => {
  if (isDays(type)) return { type: like(type, "Int32") };
  if (isNanoseconds(type)) return { type: like(type, "Int128"), sql: nanosecondsOf };
  if (!bareType(type).startsWith("DateTime64(")) return undefined;
  return { type: like(type, "Int64"), sql: (value) => `reinterpret(${value}, 'Int64')` };
};

/** The type that the casts take a column's values in, once they are carried: see `carried`. */
export function carriedType(type: string): string {
  if (sourceKind(type) === "nested") return printType(parseType(type), carriedInside);
  return isDays(type) || isNanoseconds(type) ? (carriedInside(type)?.type ?? type) : type;
}

/** INT96 of Parquet: nanoseconds of the day, then the Julian day, both with the lowest byte first. */
function nanosecondsOf(bytes: string): string {
  const days = `toInt128(reinterpretAsUInt32(substring(${bytes}, 9, 4))) - 2440588`;
  return `((${days}) * toInt128(86400000000000) + reinterpretAsInt64(substring(${bytes}, 1, 8)))`;
}
