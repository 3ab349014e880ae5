import type { RootColumn } from "./schema-tree.ts";

/** Decimals of more digits have no type in ClickHouse. */
const MAX_DECIMAL_DIGITS = 76;

/**
 * The ClickHouse type that its Parquet reader gives the column's values by itself, `Nullable(...)`
 * when the column is optional; undefined for a nested column and for a kind it has no scalar for.
 */
export function columnType(column: RootColumn): string | undefined {
  if (column.isGroup || column.repetition === "repeated") return undefined;
  const type = scalarType(column);
  if (type === undefined) return undefined;
  return column.repetition === "optional" ? `Nullable(${type})` : type;
}

function scalarType({ physical, length, logical }: RootColumn): string | undefined {
  switch (logical.kind) {
    case "decimal": {
      const { precision, scale } = logical;
      const fits = precision >= 1 && precision <= MAX_DECIMAL_DIGITS && scale >= 0;
      return fits && scale <= precision ? `Decimal(${precision}, ${scale})` : undefined;
    }
    case "integer": {
      const whole = physical === "int32" ? 32 : physical === "int64" ? 64 : 0;
      if (![8, 16, 32, 64].includes(logical.bits) || logical.bits > whole) return undefined;
      return `${logical.isSigned ? "Int" : "UInt"}${logical.bits}`;
    }
    case "date":
      return "Date32";
    // A time of day is read as one on the first day of 1970.
    case "time":
    case "timestamp":
      return logical.digits > 0 ? `DateTime64(${logical.digits}, 'UTC')` : undefined;
    case "uuid":
      return "UUID";
    case "float16":
      return "Float32";
    case "text":
      return physical === "fixed" ? `FixedString(${length})` : "String";
    case "json":
      return "String";
    case "other":
      return undefined;
    case "none":
      return plainType(physical, length);
  }
}

function plainType(physical: RootColumn["physical"], length: number): string | undefined {
  switch (physical) {
    case "boolean":
      return "Bool";
    case "int32":
      return "Int32";
    case "int64":
      return "Int64";
    case "int96":
      return "DateTime64(9, 'UTC')";
    case "float":
      return "Float32";
    case "double":
      return "Float64";
    case "bytes":
      return "String";
    case "fixed":
      return `FixedString(${length})`;
    case undefined:
      return undefined;
  }
}
