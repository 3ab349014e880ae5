/** The families of ClickHouse types that the cast rules tell apart. */
export type SourceKind =
  | "text"
  | "integer"
  | "float"
  | "decimal"
  | "boolean"
  | "date"
  | "datetime"
  | "nested"
  | "other";

/** A ClickHouse type without its Nullable and LowCardinality. */
export function bareType(type: string): string {
  const inner = /^(?:Nullable|LowCardinality)\((.*)\)$/s.exec(type)?.[1];
  return inner === undefined ? type : bareType(inner);
}

export function sourceKind(type: string): SourceKind {
  const bare = bareType(type);
  if (/^(String|FixedString\(\d+\))$/.test(bare)) return "text";
  if (/^U?Int(8|16|32|64|128|256)$/.test(bare)) return "integer";
  if (/^(B?Float\d+)$/.test(bare)) return "float";
  if (/^Decimal/.test(bare)) return "decimal";
  if (bare === "Bool") return "boolean";
  if (/^Date(32)?$/.test(bare)) return "date";
  if (bare === "Int96" || /^DateTime(64)?(\(.*\))?$/.test(bare)) return "datetime";
  if (/^(Array|Map|Tuple)\(/.test(bare)) return "nested";
  return "other";
}

/** Dates are carried as what files store them as: days since 1970. */
export const isDays = (type: string): boolean => bareType(type) === "Date32";

/** INT96 timestamps are carried as nanoseconds since 1970, in an Int128: they have more years than DateTime64(9). */
export const isNanoseconds = (type: string): boolean => bareType(type) === "Int96";

/** Digits of a second's fraction. */
export function timeScale(type: string): number {
  if (isNanoseconds(type)) return 9;
  return Number(/^DateTime64\((\d+)/.exec(bareType(type))?.[1] ?? 0);
}

/**
 * The type that a native column is asked for as: nullable where it can be, days for dates, of which
 * ClickHouse fails the whole insert where they are beyond Date32's years, and for INT96, for which it
 * does the same, the bytes that the file holds.
 */
export function readType(type: string): string {
  const read = type.replace(/(`(?:[^`\\]|\\.)*`)|\b(?:Date32|Int96)\b/g, (found, name?: string) => {
    return name ?? (found === "Date32" ? "Int32" : "FixedString(12)");
  });
  const isNullable = /^(Nullable|Array|Map|Tuple|JSON|Variant|Dynamic)\b/.test(read);
  return isNullable ? read : `Nullable(${read})`;
}
