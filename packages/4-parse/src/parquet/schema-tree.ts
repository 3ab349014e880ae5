import { StageError } from "@sluice/errors";
import { type Logical, readLogical } from "./logical-type.ts";
import { readInteger, readStruct, readText, type ThriftStruct } from "./thrift.ts";

/** An element of a Parquet schema with all that stands below it. Specification: parquet.thrift, SchemaElement. */
export interface SchemaNode {
  readonly name: string;
  readonly repetition: "required" | "optional" | "repeated";
  /** Undefined for a group. */
  readonly physical: Physical | undefined;
  /** Bytes of a value of fixed length. */
  readonly length: number;
  readonly logical: Logical;
  /** Empty for a column of values. */
  readonly children: readonly SchemaNode[];
  /** Columns of values at or below it: 1 when it is itself one. */
  readonly leaves: number;
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

const REPETITIONS = ["required", "optional", "repeated"] as const;

/**
 * Reads the schema's elements, which stand in depth-first order, as the columns below the root. Throws
 * `parse.malformed`, and `parse.record_too_large` for groups in groups deeper than `maxSchemaDepth`
 * (a column of the file itself is at depth 1).
 */
export function readSchema(elements: readonly Uint8Array[], maxSchemaDepth: number): SchemaNode[] {
  const [root] = elements;
  if (root === undefined) throw malformed("it has no root");
  const columns: SchemaNode[] = [];
  let at = 1;
  for (let left = childrenOf(readStruct(root)); left > 0; left--) {
    const { node, end } = readNode(elements, at, 1, maxSchemaDepth);
    columns.push(node);
    at = end;
  }
  if (at !== elements.length) throw malformed("elements stand behind its end");
  return columns;
}

function readNode(
  elements: readonly Uint8Array[],
  at: number,
  depth: number,
  maxSchemaDepth: number,
): { node: SchemaNode; end: number } {
  if (depth > maxSchemaDepth) {
    const message = `the Parquet schema nests deeper than maxSchemaDepth = ${maxSchemaDepth}`;
    throw new StageError("parse", "record_too_large", message);
  }
  const element = elements[at];
  if (element === undefined) throw malformed("it is cut off");
  const fields = readStruct(element);
  const name = fields.get(4);
  const physical = optionalInteger(fields, 1);
  const repetition = REPETITIONS[optionalInteger(fields, 3) ?? 0];
  if (name === undefined) throw malformed("an element has no name");
  if (repetition === undefined) throw malformed("an element has an unknown repetition");
  if (physical !== undefined && PHYSICAL[physical] === undefined) {
    throw malformed(`an element has the unknown type ${physical}`);
  }
  const count = childrenOf(fields);
  // Some writers put 0 where a column of values has none.
  if (physical !== undefined && count > 0) throw malformed("a column of values has children");
  const children: SchemaNode[] = [];
  let end = at + 1;
  for (let left = count; left > 0; left--) {
    const below = readNode(elements, end, depth + 1, maxSchemaDepth);
    children.push(below.node);
    end = below.end;
  }
  const node: SchemaNode = {
    name: readText(name),
    repetition,
    physical: physical === undefined ? undefined : PHYSICAL[physical],
    length: optionalInteger(fields, 2) ?? 0,
    logical: readLogical(fields),
    children,
    leaves: physical === undefined ? children.reduce((sum, { leaves }) => sum + leaves, 0) : 1,
  };
  return { node, end };
}

function childrenOf(fields: ThriftStruct): number {
  const count = optionalInteger(fields, 5) ?? 0;
  if (count < 0) throw malformed("a group of less than no children");
  return count;
}

function optionalInteger(fields: ThriftStruct, id: number): number | undefined {
  const value = fields.get(id);
  return value === undefined ? undefined : readInteger(value);
}

function malformed(message: string): StageError {
  return new StageError("parse", "malformed", `the Parquet schema: ${message}`);
}
