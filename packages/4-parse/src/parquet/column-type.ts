import type { SchemaNode } from "./schema-tree.ts";

/** Decimals of more digits have no type in ClickHouse. */
const MAX_DECIMAL_DIGITS = 76;

/**
 * Names from a column's on to a member inside of it; undefined stands for each element of a list and each value of
 * a map.
 */
export type NestedPlace = readonly (string | undefined)[];

/** Where an element stands, as far as its type depends on it. */
interface Place {
  readonly at: NestedPlace;
  /** Takes the places of members that the type leaves out. */
  readonly leftOut: NestedPlace[];
  /** Whether an optional element stands above it, below the nearest array. */
  readonly isOptional: boolean;
  /** Annotations of lists and maps count for columns, members of structs and elements, not for keys. */
  readonly isKey: boolean;
}

/**
 * The ClickHouse type that `input()` reads the column as, the same whether it comes as Parquet or as
 * Arrow: nested columns as Tuple, Array and Map. Undefined for what ClickHouse's reader has no type for.
 *
 * Only values can be null in these types: a null struct reads as a tuple of nulls, a null list or map
 * as an empty one.
 */
export function columnType(column: SchemaNode): string | undefined {
  return readColumn(column).type;
}

/** Members inside of the column that its type leaves out, since ClickHouse's reader has no type for them. */
export function membersLeftOut(column: SchemaNode): readonly NestedPlace[] {
  return readColumn(column).leftOut;
}

function readColumn(column: SchemaNode): { type: string | undefined; leftOut: NestedPlace[] } {
  const leftOut: NestedPlace[] = [];
  const place = { at: [column.name], leftOut, isOptional: false, isKey: false };
  return { type: typeOf(column, place), leftOut };
}

/** The place of what stands inside, which begins anew; `name` is a member's, and undefined for an element. */
const inside = ({ at, leftOut }: Place, name: string | undefined): Place => ({
  at: [...at, name],
  leftOut,
  isOptional: false,
  isKey: false,
});

function typeOf(node: SchemaNode, place: Place): string | undefined {
  const isArray = node.repetition === "repeated";
  const isOptional = isArray ? false : place.isOptional || node.repetition === "optional";
  const at = isArray ? [...place.at, undefined] : place.at;
  const type = bareTypeOf(node, { ...place, at, isOptional });
  return isArray && type !== undefined ? `Array(${type})` : type;
}

function bareTypeOf(node: SchemaNode, place: Place): string | undefined {
  if (node.physical !== undefined) {
    const type = scalarType(node);
    if (type === undefined) return undefined;
    return place.isOptional && !place.isKey ? `Nullable(${type})` : type;
  }
  // Its members are an encoding of values, which nothing here undoes: they would pass for the values.
  if (node.logical.kind === "other" && node.logical.name === "VARIANT") return undefined;
  const [child] = node.children;
  if (child?.repetition === "repeated" && node.children.length === 1 && !place.isKey) {
    if (node.logical.kind === "map" && child.children.length === 2) return mapType(child, place);
    if (node.logical.kind === "list") return listType(child, place);
  }
  return tupleType(node, place);
}

/** Three levels: the list, a repeated group around each element, the element. Older writers left out the group. */
function listType(repeated: SchemaNode, place: Place): string | undefined {
  const [only] = repeated.children;
  if (only === undefined || repeated.children.length > 1) {
    return typeOf(repeated, { ...place, isOptional: false });
  }
  const element = typeOf(only, inside(place, undefined));
  return element === undefined ? undefined : `Array(${element})`;
}

function mapType(pair: SchemaNode, place: Place): string | undefined {
  const [first, second] = pair.children;
  if (first === undefined || second === undefined) return undefined;
  // Keys of several values exist, but nothing could be looked up by one.
  const within = inside(place, undefined);
  const key = first.physical === undefined ? undefined : typeOf(first, { ...within, isKey: true });
  const value = typeOf(second, within);
  return key === undefined || value === undefined ? undefined : `Map(${key}, ${value})`;
}

/** Members that have no type are left out: ClickHouse reads those that are asked for. */
function tupleType({ children }: SchemaNode, place: Place): string | undefined {
  const names = new Map<string, number>();
  for (const { name } of children) names.set(name, (names.get(name) ?? 0) + 1);
  const members = children.flatMap((child) => {
    const within = inside(place, child.name);
    const isNamed = child.name !== "" && names.get(child.name) === 1;
    const type = isNamed ? typeOf(child, { ...within, isOptional: place.isOptional }) : undefined;
    if (type !== undefined) return [`${quote(child.name)} ${type}`];
    place.leftOut.push(within.at);
    return [];
  });
  return members.length === 0 ? undefined : `Tuple(${members.join(", ")})`;
}

const quote = (name: string): string => `\`${name.replace(/[\\`]/g, "\\$&")}\``;

/** Whether the column's values have a type of ClickHouse's by themselves. */
export function scalarType({ physical, length, logical }: SchemaNode): string | undefined {
  switch (logical.kind) {
    case "decimal":
      return decimalType({ physical, length }, logical.precision, logical.scale);
    case "integer": {
      const whole = physical === "int32" ? 32 : physical === "int64" ? 64 : 0;
      if (![8, 16, 32, 64].includes(logical.bits) || logical.bits > whole) return undefined;
      return `${logical.isSigned ? "Int" : "UInt"}${logical.bits}`;
    }
    case "date":
      return physical === "int32" ? "Date32" : undefined;
    // A time of day is read as one on the first day of 1970.
    case "time":
    case "timestamp": {
      const isWhole = physical === "int64" || physical === "int32";
      return isWhole && logical.digits > 0 ? `DateTime64(${logical.digits}, 'UTC')` : undefined;
    }
    case "uuid":
      return physical === "fixed" && length === 16 ? "UUID" : undefined;
    case "float16":
      return physical === "fixed" && length === 2 ? "Float32" : undefined;
    case "text":
      if (physical !== "fixed" && physical !== "bytes") return undefined;
      return plainType(physical, length);
    case "json":
      return physical === "bytes" ? "String" : undefined;
    case "list":
    case "map":
    case "other":
      return undefined;
    case "none":
      return plainType(physical, length);
  }
}

/** Digits that ClickHouse's reader takes from each physical type. */
function decimalType(
  { physical, length }: Pick<SchemaNode, "physical" | "length">,
  precision: number,
  scale: number,
): string | undefined {
  const digits =
    physical === "int32"
      ? 9
      : physical === "int64"
        ? 18
        : physical === "bytes" || (physical === "fixed" && length > 0 && length <= 32)
          ? MAX_DECIMAL_DIGITS
          : 0;
  const fits = precision >= 1 && precision <= digits && scale >= 0 && scale <= precision;
  return fits ? `Decimal(${precision}, ${scale})` : undefined;
}

function plainType(physical: SchemaNode["physical"], length: number): string | undefined {
  switch (physical) {
    case "boolean":
      return "Bool";
    case "int32":
      return "Int32";
    case "int64":
      return "Int64";
    case "int96":
      // As DateTime64(9), ClickHouse fails the insert for years beyond 1677 to 2262.
      return "Int96";
    case "float":
      return "Float32";
    case "double":
      return "Float64";
    case "bytes":
      return "String";
    case "fixed":
      return length > 0 ? `FixedString(${length})` : undefined;
    case undefined:
      return undefined;
  }
}
