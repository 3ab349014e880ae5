import {
  readBoolean,
  readInteger,
  readStruct,
  STRUCT,
  type ThriftStruct,
  type ThriftValue,
} from "./thrift.ts";

/** What an element's values mean: from the logical type, else from the older converted type. */
export type Logical =
  | { readonly kind: "none" }
  | { readonly kind: "text" | "json" | "date" | "uuid" | "float16" | "list" | "map" }
  /** Annotations that ClickHouse's reader refuses, `GEOMETRY` among them. */
  | { readonly kind: "other"; readonly name: string }
  | { readonly kind: "decimal"; readonly precision: number; readonly scale: number }
  | { readonly kind: "integer"; readonly bits: number; readonly isSigned: boolean }
  | { readonly kind: "time" | "timestamp"; readonly digits: number };

/** Reads the annotations of a SchemaElement. Specification: parquet.thrift, LogicalType and ConvertedType. */
export function readLogical(fields: ThriftStruct): Logical {
  return toLogical(fields.get(10)) ?? toConverted(fields);
}

/** The members of the union LogicalType, by field id. */
function toLogical(value: ThriftValue | undefined): Logical | undefined {
  if (value === undefined || value.type !== STRUCT) return undefined;
  const [member] = readStruct(value.bytes);
  if (member === undefined) return undefined;
  const [id, body] = member;
  const fields = readStruct(body.bytes);
  switch (id) {
    case 1:
    case 4:
      return { kind: "text" };
    case 2:
      return { kind: "map" };
    case 3:
      return { kind: "list" };
    case 5:
      return {
        kind: "decimal",
        scale: integer(fields, 1) ?? 0,
        precision: integer(fields, 2) ?? 0,
      };
    case 6:
      return { kind: "date" };
    case 7:
    case 8:
      return { kind: id === 7 ? "time" : "timestamp", digits: digitsOf(fields.get(2)) };
    case 10: {
      const isSigned = fields.get(2);
      return {
        kind: "integer",
        bits: integer(fields, 1) ?? 0,
        isSigned: isSigned === undefined || readBoolean(isSigned),
      };
    }
    case 12:
      return { kind: "json" };
    case 11: // UNKNOWN: all values are null
    case 13: // BSON is bytes
      return { kind: "none" };
    case 14:
      return { kind: "uuid" };
    case 15:
      return { kind: "float16" };
    case 16:
      return { kind: "other", name: "VARIANT" };
    case 17:
      return { kind: "other", name: "GEOMETRY" };
    case 18:
      return { kind: "other", name: "GEOGRAPHY" };
    default:
      return { kind: "other", name: `logical type ${id}` };
  }
}

/** TimeUnit is a union of empty structs: MILLIS, MICROS, NANOS. */
function digitsOf(unit: ThriftValue | undefined): number {
  const [member] = unit === undefined ? [] : readStruct(unit.bytes);
  return (member?.[0] ?? 0) * 3;
}

/** The members of the enum ConvertedType. */
function toConverted(fields: ThriftStruct): Logical {
  const converted = integer(fields, 6);
  switch (converted) {
    case undefined:
    case 20: // BSON is bytes
    case 21: // INTERVAL is twelve bytes
      return { kind: "none" };
    case 0:
    case 4:
      return { kind: "text" };
    case 1:
    case 2:
      return { kind: "map" };
    case 3:
      return { kind: "list" };
    case 5:
      return {
        kind: "decimal",
        scale: integer(fields, 7) ?? 0,
        precision: integer(fields, 8) ?? 0,
      };
    case 6:
      return { kind: "date" };
    case 7:
    case 8:
      return { kind: "time", digits: converted === 7 ? 3 : 6 };
    case 9:
    case 10:
      return { kind: "timestamp", digits: converted === 9 ? 3 : 6 };
    case 11:
    case 12:
    case 13:
    case 14:
      return { kind: "integer", bits: 8 << (converted - 11), isSigned: false };
    case 15:
    case 16:
    case 17:
    case 18:
      return { kind: "integer", bits: 8 << (converted - 15), isSigned: true };
    case 19:
      return { kind: "json" };
    default:
      return { kind: "other", name: `converted type ${converted}` };
  }
}

function integer(fields: ThriftStruct, id: number): number | undefined {
  const value = fields.get(id);
  return value === undefined ? undefined : readInteger(value);
}
