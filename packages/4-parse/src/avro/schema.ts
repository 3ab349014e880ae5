import { StageError } from "@sluice/errors";
import avro from "avsc";
import { malformed, tooLarge } from "./fault.ts";
import type { AvroLimits } from "./limits.ts";
import { type Logical, readLogical } from "./logical.ts";
import { type Prepared, prepareSchema } from "./prepare-schema.ts";

/** A field of a record as its writer named it. */
export interface RecordField {
  readonly name: string;
  readonly aliases: readonly string[];
  readonly node: SchemaNode;
}

type Plain<Kind> = Kind extends string ? { readonly kind: Kind; readonly logical: Logical } : never;

/** A type of the writer's schema with names resolved: a recursive schema is a graph with cycles. */
export type SchemaNode =
  | { readonly kind: "null" | "boolean" | "float" | "double" }
  | Plain<"int" | "long" | "string" | "bytes">
  | { readonly kind: "fixed"; readonly size: number; readonly logical: Logical }
  | { readonly kind: "enum"; readonly symbols: readonly string[] }
  | { readonly kind: "array" | "map"; readonly items: SchemaNode }
  | { readonly kind: "union"; readonly branches: readonly SchemaNode[] }
  | { readonly kind: "record"; readonly fields: readonly RecordField[] };

/** The one type beside null that a union has; any other type is itself. */
export function withoutNull(node: SchemaNode): SchemaNode {
  if (node.kind !== "union") return node;
  const [only, other] = node.branches.filter(({ kind }) => kind !== "null");
  return only !== undefined && other === undefined ? only : node;
}

/**
 * Parses a writer's schema (specification, "Schema Declaration"). avsc checks it and resolves its names,
 * and what it found is taken over as nodes. Throws `parse.malformed` for what is no schema and
 * `parse.record_too_large` for one that nests deeper than `maxSchemaDepth`.
 */
export function parseSchema(json: string, limits: AvroLimits): SchemaNode {
  let parsed: unknown;
  try {
    parsed = JSON.parse(json);
  } catch (cause) {
    throw malformed("the schema is not JSON", { byteOffset: 0, cause });
  }
  const prepared = prepareSchema(parsed, limits);
  const described = new Map<avro.Type, Prepared>();
  try {
    const root = resolveNames(prepared, described);
    return createToNode(described, limits)(root);
  } catch (cause) {
    if (cause instanceof StageError) throw cause;
    if (cause instanceof RangeError) throw tooDeep(limits);
    // What avsc says quotes the schema: kept for the engineer, not for the message.
    throw malformed("the schema is not valid", { byteOffset: 0, cause });
  }
}

/** Also tells which prepared type each of avsc's was made of: avsc keeps no attributes. */
function resolveNames(root: Prepared, described: Map<avro.Type, Prepared>): avro.Type {
  const seen = new Set<unknown>();
  const options: Partial<avro.ForSchemaOptions> = {
    registry: Object.create(null),
    // Never asks whether a union's branches can be told apart in JavaScript.
    wrapUnions: "always",
    omitRecordMethods: true,
    typeHook: (schema, inner) => {
      if (typeof schema !== "object" || seen.has(schema)) return undefined;
      seen.add(schema);
      const type = avro.Type.forSchema(schema, inner);
      described.set(type, schema as Prepared);
      return type;
    },
  };
  return avro.Type.forSchema(root as avro.Schema, options);
}

const tooDeep = (limits: AvroLimits): StageError<"parse"> =>
  tooLarge("types within types", "maxSchemaDepth", limits.maxSchemaDepth, { byteOffset: 0 });

type Writable<T> = { -readonly [K in keyof T]: T[K] };

function createToNode(
  described: ReadonlyMap<avro.Type, Prepared>,
  limits: AvroLimits,
): (type: avro.Type) => SchemaNode {
  const nodes = new Map<avro.Type, SchemaNode>();
  // Types within a type, by the longest way; one that is not yet whole counts as none.
  const heights = new Map<avro.Type, number>();

  const toNode = (type: avro.Type): SchemaNode => {
    const known = nodes.get(type);
    if (known !== undefined) return known;
    const { node, complete, inner } = begin(type);
    // Known before its parts are: they may refer to it.
    nodes.set(type, node);
    complete?.();
    const height = 1 + inner.reduce((most, part) => Math.max(most, heights.get(part) ?? 0), 0);
    if (height > limits.maxSchemaDepth) throw tooDeep(limits);
    heights.set(type, height);
    return node;
  };

  const begin = (
    type: avro.Type,
  ): { node: SchemaNode; complete?: () => void; inner: readonly avro.Type[] } => {
    const attributes = described.get(type);
    switch (type.typeName) {
      case "null":
      case "boolean":
      case "float":
      case "double":
        return { node: { kind: type.typeName }, inner: [] };
      case "int":
      case "long":
      case "string":
      case "bytes": {
        const logical = readLogical(type.typeName, attributes, limits);
        return { node: { kind: type.typeName, logical }, inner: [] };
      }
      case "fixed": {
        const { size } = type as avro.types.FixedType;
        const logical = readLogical("fixed", attributes, limits, size);
        return { node: { kind: "fixed", size, logical }, inner: [] };
      }
      case "enum":
        return { node: { kind: "enum", symbols: attributes?.symbolNames ?? [] }, inner: [] };
      case "array":
      case "map": {
        const isArray = type.typeName === "array";
        const part = isArray
          ? (type as avro.types.ArrayType).itemsType
          : // Its declaration calls it something else than the library does.
            (type as unknown as { valuesType: avro.Type }).valuesType;
        const node = { kind: type.typeName } as Writable<SchemaNode & { kind: "array" }>;
        const complete = (): void => {
          node.items = toNode(part);
        };
        return { node, complete, inner: [part] };
      }
      case "record": {
        const { fields } = type as avro.types.RecordType;
        const names = attributes?.fieldNames ?? [];
        const own: RecordField[] = [];
        const complete = (): void => {
          for (const [index, field] of fields.entries()) {
            const { name = "", aliases = [] } = names[index] ?? {};
            own.push({ name, aliases, node: toNode(field.type) });
          }
        };
        return {
          node: { kind: "record", fields: own },
          complete,
          inner: fields.map((f) => f.type),
        };
      }
      case "union:wrapped": {
        const { types } = type as unknown as { types: readonly avro.Type[] };
        const branches: SchemaNode[] = [];
        const complete = (): void => {
          for (const branch of types) branches.push(toNode(branch));
        };
        return { node: { kind: "union", branches }, complete, inner: types };
      }
      default:
        throw malformed("the schema has a type that Avro does not know", { byteOffset: 0 });
    }
  };
  return toNode;
}
