import { type ColumnBuilder, setNullCell } from "../blocks/column-builder.ts";
import type { ColumnPlan, Want } from "./columns.ts";
import { assertPartEnd, assertWithin, type Part, readIndex, readPart } from "./cursor.ts";
import type { Decoder, Step } from "./decoder.ts";
import { tooLarge } from "./fault.ts";
import { createCompileJson } from "./json.ts";
import { compileKeys } from "./map-keys.ts";
import { compileScalar } from "./scalar.ts";
import { type SchemaNode, withoutNull } from "./schema.ts";
import { createCompileSkip, isEmpty, joinSteps } from "./skip.ts";

const QUOTE = 0x22;

/**
 * Makes the step that reads one record of the file: wanted values go to their columns, each of which gets exactly
 * one cell or null, and all others are passed over. It is composed of one function for each type, once for a file.
 */
export function compileRecord(decoder: Decoder, { root, want }: ColumnPlan): Step {
  const { cursor, rows } = decoder;
  const skip = createCompileSkip(decoder);
  const columnsAt = (indexes: readonly number[]): readonly ColumnBuilder[] =>
    indexes.flatMap((index) => rows.columns[index] ?? []);
  const allColumns = (wanted: Want): readonly ColumnBuilder[] => columnsAt(indexesOf(wanted));

  const compileWant = (node: SchemaNode, wanted: Want): Step => {
    const value = withoutNull(node);
    if (node.kind === "union" && (value !== node || isAllNull(node))) {
      return compileNullable(node, wanted);
    }
    const ways = columnsAt(wanted.columns).map((column) => compileWhole(node, column));
    if (hasParts(wanted)) ways.push(compileParts(node, wanted));
    const [only, other] = ways;
    // Only of the whole record: its fields are passed over, and it does not count as a value within itself.
    if (only === undefined) return node.kind === "record" ? compileParts(node, wanted) : skip(node);
    if (other === undefined) return only;
    return () => {
      const { at, emptyItems } = cursor;
      for (const way of ways) {
        cursor.at = at;
        cursor.emptyItems = emptyItems;
        way();
      }
    };
  };

  const compileNullable = (node: SchemaNode & { kind: "union" }, wanted: Want): Step => {
    const { branches } = node;
    const columns = allColumns(wanted);
    const nulls = (): void => {
      for (const column of columns) setNullCell(rows, column);
    };
    const steps = branches.map((branch) =>
      branch.kind === "null" ? nulls : compileWant(branch, wanted),
    );
    const [zero, one] = steps;
    if (steps.length !== 2 || zero === undefined || one === undefined) {
      return () => {
        steps[readIndex(cursor, steps.length, "union branch")]?.();
      };
    }
    return () => {
      // The two indexes, 0 and 1, as they are nearly always written.
      const byte = cursor.bytes[cursor.at];
      if (byte === 0) {
        cursor.at++;
        zero();
      } else if (byte === 2) {
        cursor.at++;
        one();
      } else (readIndex(cursor, 2, "union branch") === 0 ? zero : one)();
    };
  };

  const compileWhole = (node: SchemaNode, column: ColumnBuilder): Step => {
    if (node.kind === "null") return () => setNullCell(rows, column);
    const scalar = compileScalar(decoder, node, column);
    if (scalar !== undefined) return scalar;
    const compileJson = createCompileJson(decoder, column);
    if (node.kind !== "union") return compileJson(node);
    const steps = node.branches.map((branch) =>
      branch.kind === "null"
        ? () => setNullCell(rows, column)
        : compileBranch(branch, column, compileJson(branch)),
    );
    return () => {
      steps[readIndex(cursor, steps.length, "union branch")]?.();
    };
  };

  /** A branch's value as text of its own: what is one value is not quoted, what holds several is JSON. */
  const compileBranch = (branch: SchemaNode, column: ColumnBuilder, json: Step): Step => {
    const logical = "logical" in branch ? branch.logical.kind : "none";
    // Bytes need not be text, so among texts they stand as JSON has them.
    if (logical === "none" && (branch.kind === "bytes" || branch.kind === "fixed")) return json;
    if (logical !== "date" && logical !== "timestamp") {
      return compileScalar(decoder, branch, column) ?? json;
    }
    // As the type of a column a moment is a number; among other types only its text says what it is.
    return () => {
      json();
      const { data, start, end } = column;
      if (data[start] !== QUOTE) return;
      data.copyWithin(start, start + 1, end - 1);
      column.end = end - 2;
    };
  };

  const compileParts = (node: SchemaNode, wanted: Want): Step => {
    switch (node.kind) {
      case "record": {
        const toStep = (field: SchemaNode, index: number): Step => {
          const part = wanted.fields.get(index);
          return part === undefined ? skip(field) : compileWant(field, part);
        };
        const nodes = node.fields.map((field) => field.node);
        return joinSteps(decoder, nodes, toStep, (index) => !wanted.fields.has(index));
      }
      case "map":
        return compileKeys(decoder, skip(node.items), wanted.keys, (part) => ({
          step: compileWant(node.items, part),
          columns: allColumns(part),
        }));
      case "array":
        return compileItems(node.items, wanted.items);
      default:
        throw new Error(`no parts in ${node.kind}`);
    }
  };

  const compileItems = (node: SchemaNode, wanted: ReadonlyMap<number, Want>): Step => {
    const pass = skip(node);
    const areEmpty = isEmpty(node);
    const steps = new Map([...wanted].map(([index, part]) => [index, compileWant(node, part)]));
    const columns = [...wanted].map(([index, part]) => ({ index, columns: allColumns(part) }));
    return () => {
      const part: Part = { count: 0, partEnd: -1 };
      let index = 0;
      for (;;) {
        readPart(cursor, part, areEmpty, decoder.limits);
        if (part.count === 0) break;
        for (let left = part.count; left > 0; left--) {
          (steps.get(index++) ?? pass)();
          assertWithin(cursor);
        }
        assertPartEnd(cursor, part);
      }
      for (const absent of columns) {
        if (absent.index < index) continue;
        for (const column of absent.columns) setNullCell(rows, column);
      }
    };
  };

  try {
    return compileWant(root, want);
  } catch (error) {
    // Names that refer to names can go deeper than the schema's own nesting.
    if (!(error instanceof RangeError)) throw error;
    throw tooLarge("types within types", "maxSchemaDepth", decoder.limits.maxSchemaDepth);
  }
}

function isAllNull(node: SchemaNode & { kind: "union" }): boolean {
  return node.branches.every(({ kind }) => kind === "null");
}

function hasParts({ fields, keys, items }: Want): boolean {
  return fields.size + keys.size + items.size > 0;
}

/** Every column that gets its cell from a value. */
function indexesOf(want: Want): readonly number[] {
  const parts = [...want.fields.values(), ...want.keys.values(), ...want.items.values()];
  return [...want.columns, ...parts.flatMap(indexesOf)];
}
