import { columnType } from "./column-type.ts";
import type { SchemaNode } from "./schema-tree.ts";

/** How a file's rows come to ClickHouse, and the reason in words that may be shown. */
export interface ParquetRoute {
  /** `slices`: row groups as they are, which ClickHouse decodes. `arrow`: decoded here, as Arrow streams. */
  readonly kind: "slices" | "arrow";
  readonly why: string;
}

const quoted = (name: string): string => JSON.stringify(name);

/** Annotations that ClickHouse's reader refuses and whose values are plain bytes beneath. */
const SHAPES: readonly string[] = ["GEOMETRY", "GEOGRAPHY"];

/** What ClickHouse's reader cannot do and the decoder can; undefined when there is nothing of it. */
export function needsArrow(columns: readonly SchemaNode[]): string | undefined {
  const shape = columns.find((column) => arrowType(column) !== columnType(column));
  if (shape !== undefined && shape.logical.kind === "other") {
    return `ClickHouse's reader refuses the ${shape.logical.name} column ${quoted(shape.name)}`;
  }
  const [taken] = ambiguousPaths(columns);
  if (taken === undefined) return undefined;
  return `the column ${quoted(taken)} has the name of a path inside another column, and ClickHouse's reader takes both for it`;
}

/** Names of columns that are also paths inside of others: ClickHouse's reader finds columns by path. */
export function ambiguousPaths(columns: readonly SchemaNode[]): ReadonlySet<string> {
  const dotted = columns.filter(({ name }) => name.includes("."));
  const paths = new Set<string>();
  if (dotted.length > 0) for (const column of columns) collectPaths(column, "", paths);
  return new Set(dotted.map(({ name }) => name).filter((name) => paths.has(name)));
}

/** What the decoder would read wrongly or not at all; undefined when there is nothing of it. */
export function refusesArrow(columns: readonly SchemaNode[]): string | undefined {
  for (const column of columns) {
    const isRepeated = column.repetition === "repeated";
    const fault = isRepeated ? "it is a repeated field that is no list" : faultOf(column, false);
    if (fault !== undefined) return `the Arrow route cannot read ${quoted(column.name)}: ${fault}`;
  }
  return undefined;
}

function faultOf(node: SchemaNode, isBelowOptional: boolean): string | undefined {
  // The decoder makes nanoseconds of them, and years beyond 1677 to 2262 wrap around silently.
  if (node.physical === "int96") return "INT96 timestamps wrap around outside of 1677 to 2262";
  // An Arrow child that cannot be null stands as a zero or an empty text below a null parent.
  if (node.physical !== undefined && node.repetition === "required" && isBelowOptional) {
    return "a required value inside an optional struct would not be null with it";
  }
  if (isOlderList(node)) return "a list of the older form, whose elements it takes for structs";
  for (const child of node.children) {
    // Seen to end such files without a row and without an error.
    if (child.repetition === "repeated" && !isListOrMap(node)) {
      return "it has a repeated field that is no list";
    }
    const isOptional = isBelowOptional || node.repetition === "optional";
    const fault = faultOf(child, isOptional && child.repetition !== "repeated");
    if (fault !== undefined) return fault;
  }
  return undefined;
}

/** By the rules of parquet-format, which ClickHouse's reader does not follow, such a group is an element itself. */
function isOlderList({ name, logical, children }: SchemaNode): boolean {
  const [repeated] = children;
  if (logical.kind !== "list" || repeated?.children.length !== 1) return false;
  return repeated.name === "array" || repeated.name === `${name}_tuple`;
}

const isListOrMap = ({ logical }: SchemaNode): boolean =>
  logical.kind === "list" || logical.kind === "map";

/** The column's type when the decoder reads it: as ClickHouse's reader does, and shapes as bytes. */
export function arrowType(column: SchemaNode): string | undefined {
  const { logical, physical, repetition } = column;
  if (logical.kind !== "other" || !SHAPES.includes(logical.name)) return columnType(column);
  if (physical !== "bytes" || repetition === "repeated") return undefined;
  return columnType({ ...column, logical: { kind: "none" } });
}

/** The paths below a column, without the groups that lists and maps are made of. */
function collectPaths(node: SchemaNode, prefix: string, paths: Set<string>): void {
  const path = `${prefix}${node.name}`;
  for (const child of membersOf(node)) {
    paths.add(`${path}.${child.name}`);
    collectPaths(child, `${path}.`, paths);
  }
}

function membersOf(node: SchemaNode): readonly SchemaNode[] {
  const [repeated] = node.children;
  if (repeated === undefined || !isListOrMap(node)) return node.children;
  const [element] = repeated.children;
  const isWrapped = node.logical.kind === "list" && repeated.children.length === 1;
  return element !== undefined && isWrapped ? membersOf(element) : repeated.children;
}
