import { StageError } from "@sluice/errors";
import { type FieldPath, parseFieldPath, type WantedField } from "@sluice/schema";
import { createNames, fold, type Names } from "./names.ts";

/** More steps than this lead nowhere by default: such a value stands deeper than maxDepth. */
const MAX_STEPS = 256;

/** A place in a record that paths lead to or through. */
export interface FieldNode {
  /** The columns that take the value here. */
  readonly columns: number[];
  /** The places below, by the names of members and by the indexes of elements. */
  readonly members: Map<string, FieldNode>;
  readonly elements: Map<number, FieldNode>;
  /** The columns that take something here or below. */
  readonly below: number[];
  /** How members' names lead on from here; undefined when none does. */
  names: Names | undefined;
  /** Whether the value here is the array whose elements become rows. */
  isExploded: boolean;
  /** Whether that array is here or below. */
  holdsExploded: boolean;
}

/** Where the columns' values stand: in the record, and in each element of its exploded array. */
export interface FieldTrees {
  readonly record: FieldNode;
  readonly recordColumns: readonly number[];
  /** Undefined without explodePath. */
  readonly element: FieldNode | undefined;
  readonly elementColumns: readonly number[];
}

export function toFieldTrees(fields: readonly WantedField[], explodePath: string): FieldTrees {
  const record = createNode();
  const recordColumns: number[] = [];
  const elementColumns: number[] = [];
  const exploded = explodePath === "" ? undefined : readPath(explodePath, "explodePath");
  const element = exploded === undefined ? undefined : createNode();
  for (const [column, { incomingName, path }] of fields.entries()) {
    const steps = stepsOf(incomingName, path);
    if (exploded !== undefined && element !== undefined && leadsInto(steps, exploded)) {
      addPath(element, steps.slice(exploded.length), column);
      elementColumns.push(column);
    } else {
      addPath(record, steps, column);
      recordColumns.push(column);
    }
  }
  if (exploded !== undefined) addPath(record, exploded, undefined);
  addNames(record, "");
  if (element !== undefined) addNames(element, `${explodePath}.`);
  return { record, recordColumns, element, elementColumns };
}

/** Without a path a member of the record; the empty path is the record itself. */
function stepsOf(incomingName: string, path: string | undefined): FieldPath {
  if (path === undefined) return [incomingName];
  return path === "" ? [] : readPath(path, `the path of ${incomingName}`);
}

/** The tree that leads to the records of a text, which are handled as an exploded array is. */
export function toRecordTree(recordPath: FieldPath): FieldNode {
  const root = createNode();
  addPath(root, recordPath, undefined);
  addNames(root, undefined);
  return root;
}

/** Reads a path of the settings; throws `parse.unsupported_feature` when it is none. */
export function readPath(text: string, what: string): FieldPath {
  try {
    const path = parseFieldPath(text);
    if (path.length <= MAX_STEPS) return path;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : "not a path";
    throw new StageError("parse", "unsupported_feature", `JSON: ${what}: ${reason}`, { cause });
  }
  throw new StageError("parse", "unsupported_feature", `JSON: ${what}: over ${MAX_STEPS} steps`);
}

function createNode(): FieldNode {
  return {
    columns: [],
    members: new Map(),
    elements: new Map(),
    below: [],
    names: undefined,
    isExploded: false,
    holdsExploded: false,
  };
}

/** Leads `path` through the tree to the column that takes its value, or to the exploded array. */
function addPath(root: FieldNode, path: FieldPath, column: number | undefined): void {
  let node = root;
  for (const step of [undefined, ...path]) {
    if (step !== undefined) node = stepInto(node, step);
    if (column === undefined) node.holdsExploded = true;
    else node.below.push(column);
  }
  if (column === undefined) node.isExploded = true;
  else node.columns.push(column);
}

function stepInto(node: FieldNode, step: string | number): FieldNode {
  const known = typeof step === "number" ? node.elements.get(step) : node.members.get(step);
  if (known !== undefined) return known;
  const next = createNode();
  if (typeof step === "number") node.elements.set(step, next);
  else node.members.set(step, next);
  return next;
}

/**
 * Members that no field takes are told of for the roots alone, with `prefix` before their names, and not
 * where a field takes the whole value.
 */
function addNames(node: FieldNode, prefix: string | undefined): void {
  const told = node.columns.length === 0 ? prefix : undefined;
  if (node.members.size > 0 || told !== undefined) node.names = createNames(node.members, told);
  for (const child of node.members.values()) addNames(child, undefined);
  for (const child of node.elements.values()) addNames(child, undefined);
}

function leadsInto(path: FieldPath, exploded: FieldPath): boolean {
  if (path.length < exploded.length) return false;
  return exploded.every((step, at) => {
    const own = path[at];
    return typeof step === "string" && typeof own === "string"
      ? fold(step) === fold(own)
      : step === own;
  });
}
