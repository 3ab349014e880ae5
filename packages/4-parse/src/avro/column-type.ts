import { type SchemaNode, withoutNull } from "./schema.ts";

/** Decimals of more digits have no type in ClickHouse. */
const MAX_DECIMAL_DIGITS = 76;

/** The ClickHouse type that holds a value of the schema's type exactly; text for what has none. */
export function columnType(node: SchemaNode): string {
  return `Nullable(${scalarType(withoutNull(node))})`;
}

function scalarType(node: SchemaNode): string {
  switch (node.kind) {
    case "boolean":
      return "Bool";
    case "float":
      return "Float32";
    case "double":
      return "Float64";
    case "int":
    case "long":
    case "string":
    case "bytes":
    case "fixed":
      return logicalType(node) ?? plainType(node.kind);
    default:
      return "String";
  }
}

function plainType(kind: "int" | "long" | "string" | "bytes" | "fixed"): string {
  if (kind === "int") return "Int32";
  return kind === "long" ? "Int64" : "String";
}

function logicalType({ logical }: Extract<SchemaNode, { logical: unknown }>): string | undefined {
  switch (logical.kind) {
    case "decimal": {
      const { precision, scale } = logical;
      return precision <= MAX_DECIMAL_DIGITS ? `Decimal(${precision}, ${scale})` : "String";
    }
    case "date":
      return "Date32";
    case "timestamp":
      return `DateTime64(${logical.digits}, 'UTC')`;
    case "uuid":
      return "UUID";
    // ClickHouse's own types for these are not what every version and cast knows.
    case "time":
    case "duration":
      return "String";
    case "none":
      return undefined;
  }
}
