import { malformed, tooLarge } from "./fault.ts";
import type { AvroLimits } from "./limits.ts";

/** A schema as avsc shall see it: only what decides how bytes are read, under names that harm nothing. */
export type Prepared = {
  readonly type?: Prepared | string;
  /** Names as the file has them, one for each of `fields`. */
  readonly fieldNames?: readonly { readonly name: string; readonly aliases: readonly string[] }[];
  /** Symbols as the file has them. */
  readonly symbolNames?: readonly string[];
  readonly logicalType?: unknown;
  readonly precision?: unknown;
  readonly scale?: unknown;
};

const PRIMITIVES = new Set([
  "null",
  "boolean",
  "int",
  "long",
  "float",
  "double",
  "bytes",
  "string",
]);

type Json = { readonly [name: string]: unknown };

/**
 * Defaults are left out (a reader of the writer's own schema needs none, and writers get them wrong), fields and symbols
 * are numbered, and named types are renamed one to one: any name is read, and none from a file gets into the functions
 * that avsc generates, or into its objects, where `__proto__` would not be a name as others.
 */
export function prepareSchema(schema: unknown, limits: AvroLimits): Prepared {
  let named = 0;
  const prepare = (part: unknown, depth: number): unknown => {
    if (typeof part === "string") return PRIMITIVES.has(part) ? part : rename(part);
    if (typeof part !== "object" || part === null) throw invalid("a type that is none");
    // What wraps a type in JSON is no level of its own; nesting is measured when the names are resolved.
    if (depth > limits.maxSchemaDepth * 2) {
      const { maxSchemaDepth } = limits;
      throw tooLarge("types within types", "maxSchemaDepth", maxSchemaDepth, { byteOffset: 0 });
    }
    const inner = (deeper: unknown): Prepared => prepare(deeper, depth + 1) as Prepared;
    if (Array.isArray(part)) return part.map(inner);
    const object = prepareObject(part as Json, inner);
    // Each of them makes avsc generate code: 11,000, which fit into a megabyte, took it 9 seconds.
    const { type } = object as { type?: unknown };
    const isNamed = type === "record" || type === "enum" || type === "fixed";
    if (isNamed && ++named > limits.maxNamedTypes) {
      const { maxNamedTypes } = limits;
      throw tooLarge("named types", "maxNamedTypes", maxNamedTypes, { byteOffset: 0 });
    }
    return object;
  };
  return prepare(schema, 1) as Prepared;
}

function prepareObject(schema: Json, inner: (part: unknown) => Prepared): unknown {
  const { type, logicalType, precision, scale } = schema;
  // {"type": {"type": "int"}} and {"type": "Name"} mean what they hold.
  if (typeof type !== "string") return inner(type);
  if (PRIMITIVES.has(type)) return { type, logicalType, precision, scale };
  switch (type) {
    case "array":
      return { type, items: inner(schema.items) };
    case "map":
      return { type, values: inner(schema.values) };
    case "fixed":
      return { ...prepareName(schema), type, size: schema.size, logicalType, precision, scale };
    case "enum": {
      const symbolNames = readNames(schema.symbols, "symbols");
      const symbols = symbolNames.map((_, index) => `s${index}`);
      return { ...prepareName(schema), type, symbols, symbolNames };
    }
    case "record":
    case "error":
      return { ...prepareName(schema), type: "record", ...prepareFields(schema.fields, inner) };
    default:
      return inner(type);
  }
}

function prepareFields(given: unknown, inner: (part: unknown) => Prepared): Json {
  if (!Array.isArray(given)) throw invalid("a record without fields");
  const seen = new Set<string>();
  const fieldNames = given.map((field: unknown) => {
    const { name, aliases } = (typeof field === "object" && field !== null ? field : {}) as Json;
    if (typeof name !== "string" || name === "") throw invalid("a field without a name");
    if (seen.has(name)) throw invalid("a record with two fields of one name");
    seen.add(name);
    const others = Array.isArray(aliases) ? aliases : [];
    return { name, aliases: others.filter((alias) => typeof alias === "string") };
  });
  const fields = given.map((field: Json, index) => ({
    name: `f${index}`,
    type: inner(field.type),
  }));
  return { fields, fieldNames };
}

function prepareName(schema: Json): Json {
  const { name, namespace } = schema;
  // The specification wants a name; avsc writes records without one where nothing refers to them.
  if (name === undefined) return {};
  if (typeof name !== "string" || name === "") throw invalid("a name that is none");
  // An empty namespace is one: none.
  if (typeof namespace !== "string") return { name: rename(name) };
  return { name: rename(name), namespace: namespace === "" ? "" : rename(namespace) };
}

/** Part for part, so that avsc resolves namespaces as it would have; different names stay different. */
function rename(name: string): string {
  return name
    .split(".")
    .map((part) => {
      // In front of a first point: a name without namespace.
      if (part === "") return "";
      return /^\w+$/.test(part) ? `n_${part}` : `x_${Buffer.from(part).toString("hex")}`;
    })
    .join(".");
}

function readNames(given: unknown, what: string): readonly string[] {
  if (Array.isArray(given) && given.every((name) => typeof name === "string")) return given;
  throw invalid(`an enum without ${what}`);
}

function invalid(what: string): Error {
  return malformed(`the schema has ${what}`, { byteOffset: 0 });
}
