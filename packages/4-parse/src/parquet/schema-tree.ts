import { StageError } from "@sluice/errors";
import {
  readBoolean,
  readInteger,
  readStruct,
  readText,
  STRUCT,
  type ThriftStruct,
  type ThriftValue,
} from "./thrift.ts";

/** A column directly below the root of a Parquet schema. Specification: parquet.thrift, SchemaElement. */
export interface RootColumn {
  readonly name: string;
  /** Columns of values at or below it: 1 when it is itself one. */
  readonly leaves: number;
  readonly isGroup: boolean;
  readonly repetition: "required" | "optional" | "repeated";
  readonly physical: Physical | undefined;
  /** Bytes of a value of fixed length. */
  readonly length: number;
  readonly logical: Logical;
}

export const PHYSICAL = [
  "boolean",
  "int32",
  "int64",
  "int96",
  "float",
  "double",
  "bytes",
  "fixed",
] as const;
export type Physical = (typeof PHYSICAL)[number];

/** What the values mean: from the logical type, else from the older converted type. */
export type Logical =
  | { readonly kind: "none" }
  | { readonly kind: "text" | "json" | "date" | "uuid" | "float16" | "other" }
  | { readonly kind: "decimal"; readonly precision: number; readonly scale: number }
  | { readonly kind: "integer"; readonly bits: number; readonly isSigned: boolean }
  | { readonly kind: "time" | "timestamp"; readonly digits: number };

const REPETITIONS = ["required", "optional", "repeated"] as const;
const MAX_DEPTH = 64;

/** Reads the schema's elements, which stand in depth-first order, as the columns below the root. */
export function readRootColumns(elements: readonly Uint8Array[]): RootColumn[] {
  const [root] = elements;
  if (root === undefined) throw malformed("it has no root");
  const count = childrenOf(readStruct(root));
  const columns: RootColumn[] = [];
  let at = 1;
  for (let child = 0; child < count; child++) {
    const element = readStruct(
      at < elements.length ? (elements[at] ?? root) : fail("it is cut off"),
    );
    const { leaves, end } = measure(elements, at, 0);
    columns.push(toColumn(element, leaves));
    at = end;
  }
  if (at !== elements.length) throw malformed("elements stand behind its end");
  return columns;
}

function measure(
  elements: readonly Uint8Array[],
  at: number,
  depth: number,
): { leaves: number; end: number } {
  if (depth > MAX_DEPTH) throw malformed(`groups nest deeper than ${MAX_DEPTH}`);
  const element = elements[at];
  if (element === undefined) throw malformed("it is cut off");
  const fields = readStruct(element);
  if (fields.has(1)) return { leaves: 1, end: at + 1 };
  const count = childrenOf(fields);
  let leaves = 0;
  let end = at + 1;
  for (let child = 0; child < count; child++) {
    const below = measure(elements, end, depth + 1);
    leaves += below.leaves;
    end = below.end;
  }
  return { leaves, end };
}

function childrenOf(fields: ThriftStruct): number {
  const count = integer(fields, 5) ?? 0;
  if (count < 0) throw malformed("a group of less than no children");
  return count;
}

function toColumn(fields: ThriftStruct, leaves: number): RootColumn {
  const name = fields.get(4);
  const physical = integer(fields, 1);
  const repetition = REPETITIONS[integer(fields, 3) ?? 0];
  if (name === undefined) throw malformed("an element has no name");
  if (repetition === undefined) throw malformed("an element has an unknown repetition");
  if (physical !== undefined && PHYSICAL[physical] === undefined) {
    throw malformed(`an element has the unknown type ${physical}`);
  }
  return {
    name: readText(name),
    leaves,
    isGroup: physical === undefined,
    repetition,
    physical: physical === undefined ? undefined : PHYSICAL[physical],
    length: integer(fields, 2) ?? 0,
    logical: toLogical(fields.get(10)) ?? toConverted(fields),
  };
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
    default:
      return { kind: "other" };
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
      return { kind: "other" };
  }
}

function integer(fields: ThriftStruct, id: number): number | undefined {
  const value = fields.get(id);
  return value === undefined ? undefined : readInteger(value);
}

function fail(message: string): never {
  throw malformed(message);
}

function malformed(message: string): StageError {
  return new StageError("parse", "malformed", `the Parquet schema: ${message}`);
}
