import { StageError } from "@sluice/errors";
import {
  type FieldPath,
  parseFieldPath,
  type SourceColumn,
  type WantedField,
} from "@sluice/schema";
import { columnType } from "./column-type.ts";
import { type RecordField, type SchemaNode, withoutNull } from "./schema.ts";

/** What is wanted of a value: itself as a column, parts of it, or both. */
export interface Want {
  /** Columns that hold the whole value. */
  readonly columns: number[];
  /** Of a record: by the field's index. */
  readonly fields: Map<number, Want>;
  /** Of a map: by the key as the path has it. */
  readonly keys: Map<string, Want>;
  /** Of an array: by the item's index. */
  readonly items: Map<number, Want>;
}

/** How records of a schema become columns. */
export interface ColumnPlan {
  /** The schema, or a record around it when its values are no records. */
  readonly root: SchemaNode;
  readonly want: Want;
  readonly columns: readonly SourceColumn[];
  /** Indexes of columns whose text must be UTF-8: all but raw bytes. */
  readonly textColumns: readonly number[];
  /** Names of fields that nobody wants, the first 100. */
  readonly extra: readonly string[];
}

/** The column of a file whose values are no records. */
const VALUE = "value";
const MAX_EXTRA = 100;

/** A wanted field and the steps to its value. */
export interface WantedPlace {
  readonly field: WantedField;
  readonly steps: FieldPath;
}

/** Reads the paths of wanted fields; throws `parse.unsupported_feature` for one that is none. */
export function readPlaces(wanted: readonly WantedField[]): readonly WantedPlace[] {
  return wanted.map((field) => {
    try {
      return { field, steps: stepsOf(field) };
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : "not a path";
      const message = `the path of the field ${field.incomingName}: ${reason}`;
      throw new StageError("parse", "unsupported_feature", message, { cause });
    }
  });
}

/** Without a path a field of the record; the empty path is the record itself. */
function stepsOf({ incomingName, path }: WantedField): FieldPath {
  if (path === undefined) return [incomingName];
  return path === "" ? [] : parseFieldPath(path);
}

/** Finds the wanted fields in a schema, in their order; one that is wanted twice gives one column. */
export function planColumns(schema: SchemaNode, wanted: readonly WantedPlace[]): ColumnPlan {
  const inner = withoutNull(schema);
  const isRecord = inner.kind === "record";
  const root: SchemaNode = isRecord
    ? schema
    : { kind: "record", fields: [{ name: VALUE, aliases: [], node: schema }] };
  const { fields } = (isRecord ? inner : root) as SchemaNode & { kind: "record" };

  const want = createWant();
  const columns: SourceColumn[] = [];
  const textColumns: number[] = [];
  const seen = new Set<string>();
  for (const { field, steps } of wanted) {
    const found = find(root, want, steps);
    if (found === undefined) continue;
    const { node, name, place } = found;
    const column: SourceColumn = {
      name: field.path === undefined ? name : field.incomingName,
      ...(field.path === undefined ? {} : { path: field.path }),
      type: columnType(node),
    };
    const key = JSON.stringify([column.name, column.path]);
    if (seen.has(key)) continue;
    seen.add(key);
    place().columns.push(columns.length);
    if (!holdsRawBytes(node)) textColumns.push(columns.length);
    columns.push(column);
  }
  const extra = fields.filter((_, index) => !want.fields.has(index)).slice(0, MAX_EXTRA);
  return { root, want, columns, textColumns, extra: extra.map(({ name }) => name) };
}

const createWant = (): Want => ({
  columns: [],
  fields: new Map(),
  keys: new Map(),
  items: new Map(),
});

interface Found {
  readonly node: SchemaNode;
  /** The last step as the file spells it. */
  readonly name: string;
  /** Makes the way to it in the tree of wants. */
  readonly place: () => Want;
}

function find(root: SchemaNode, want: Want, steps: FieldPath): Found | undefined {
  let node = root;
  let name = "";
  let place = (): Want => want;
  for (const step of steps) {
    const holder = withoutNull(node);
    const parent = place;
    if (holder.kind === "record" && typeof step === "string") {
      const index = findField(holder.fields, step);
      const field = holder.fields[index];
      if (field === undefined) return undefined;
      name = spelling(field, step);
      node = field.node;
      place = () => under(parent().fields, index);
    } else if (holder.kind === "map" && typeof step === "string") {
      node = holder.items;
      place = () => under(parent().keys, step);
    } else if (holder.kind === "array" && typeof step === "number") {
      node = holder.items;
      place = () => under(parent().items, step);
    } else return undefined;
  }
  return { node, name, place };
}

function under<K>(wants: Map<K, Want>, key: K): Want {
  const known = wants.get(key);
  if (known !== undefined) return known;
  const want = createWant();
  wants.set(key, want);
  return want;
}

/** By name, exactly first and then without regard to case; then by alias in the same way. -1 if none. */
function findField(fields: readonly RecordField[], wanted: string): number {
  const folded = wanted.toLowerCase();
  const ways: ((field: RecordField) => boolean)[] = [
    (field) => field.name === wanted,
    (field) => field.name.toLowerCase() === folded,
    (field) => field.aliases.includes(wanted),
    (field) => field.aliases.some((alias) => alias.toLowerCase() === folded),
  ];
  for (const isIt of ways) {
    const index = fields.findIndex(isIt);
    if (index >= 0) return index;
  }
  return -1;
}

function spelling({ name, aliases }: RecordField, wanted: string): string {
  const folded = wanted.toLowerCase();
  if (name.toLowerCase() === folded) return name;
  if (aliases.includes(wanted)) return wanted;
  return aliases.find((alias) => alias.toLowerCase() === folded) ?? name;
}

function holdsRawBytes(node: SchemaNode): boolean {
  const value = withoutNull(node);
  return (value.kind === "bytes" || value.kind === "fixed") && value.logical.kind === "none";
}
