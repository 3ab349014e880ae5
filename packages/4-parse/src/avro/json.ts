import type { ColumnBuilder } from "../blocks/column-builder.ts";
import {
  assertPartEnd,
  assertWithin,
  enter,
  type Part,
  readIndex,
  readInt,
  readLength,
  readPart,
} from "./cursor.ts";
import { assertRecordBytes, type Decoder, type Step } from "./decoder.ts";
import { putJsonBytes, putJsonString } from "./json-strings.ts";
import { dateText, timestampText } from "./moments.ts";
import { putDouble } from "./numbers.ts";
import { compileScalar, readBigLong, readFloat, takeText } from "./scalar.ts";
import type { SchemaNode } from "./schema.ts";
import { isEmpty } from "./skip.ts";
import { put, putAscii } from "./text.ts";

const encoder = new TextEncoder();

/**
 * Makes the step that reads a value of any type and appends it to a cell as JSON (RFC 8259): records and maps are objects,
 * arrays arrays, a union's value stands as it is, without its branch's name. Integers and decimals are numbers
 * with all their digits; floats that are no number are the strings `nan`, `inf` and `-inf`. Bytes and fixed are strings of one
 * character U+0000 to U+00FF for each byte, as in Avro's own JSON. Dates and timestamps are strings of ISO 8601 (a local
 * timestamp without the `Z`), or the plain number of days or ticks beyond the years 0 to 9999.
 */
export function createCompileJson(
  decoder: Decoder,
  column: ColumnBuilder,
): (node: SchemaNode) => Step {
  const { cursor, limits } = decoder;
  const steps = new Map<SchemaNode, Step>();
  const text = (ascii: string): void => putAscii(column, ascii);
  /** Also between the parts of a value: what has no end must not be written to its end. */
  const assertWithinLimits = (): void => {
    assertWithin(cursor);
    assertRecordBytes(column.end - column.start, limits);
  };

  const compileJson = (node: SchemaNode): Step => {
    const known = steps.get(node);
    if (known !== undefined) return known;
    // A recursive type calls itself by this step before its own is made.
    let step: Step | undefined;
    steps.set(node, () => step?.());
    step = compile(node);
    steps.set(node, step);
    return step;
  };

  const compile = (node: SchemaNode): Step => {
    switch (node.kind) {
      case "null":
        return () => text("null");
      case "float":
      case "double":
        return compileFloat(decoder, column, node.kind === "double" ? 8 : 4);
      case "int":
      case "long":
        return compileWhole(decoder, node, column);
      case "enum": {
        const symbols = node.symbols.map((symbol) => encoder.encode(JSON.stringify(symbol)));
        return () => {
          const symbol = symbols[readIndex(cursor, symbols.length, "enum symbol")];
          if (symbol !== undefined) put(column, symbol, 0, symbol.length);
        };
      }
      case "string":
        return () => {
          const from = takeText(decoder, readLength(cursor));
          putJsonString(cursor.bytes, column, from, cursor.at);
        };
      case "bytes":
      case "fixed":
        return compileBytes(node);
      case "union": {
        const branches = node.branches.map(compileJson);
        return () => branches[readIndex(cursor, branches.length, "union branch")]?.();
      }
      case "record":
        return compileRecord(node.fields);
      case "array": {
        const item = compileJson(node.items);
        return compileParts("[", "]", isEmpty(node.items), item);
      }
      case "map": {
        const item = compileJson(node.items);
        return compileParts("{", "}", false, () => {
          const from = takeText(decoder, readLength(cursor));
          putJsonString(cursor.bytes, column, from, cursor.at);
          text(":");
          item();
        });
      }
      default:
        return compileScalar(decoder, node, column) ?? (() => {});
    }
  };

  const compileBytes = (node: SchemaNode & { kind: "bytes" | "fixed" }): Step => {
    const scalar = compileScalar(decoder, node, column) ?? (() => {});
    if (node.logical.kind === "decimal") return scalar;
    if (node.logical.kind !== "none") return quoted(scalar);
    return () => {
      const length = node.kind === "fixed" ? node.size : readLength(cursor);
      const from = takeText(decoder, length);
      putJsonBytes(cursor.bytes, column, from, cursor.at);
    };
  };

  const quoted = (inner: Step): Step => {
    return () => {
      text('"');
      inner();
      text('"');
    };
  };

  const compileRecord = (fields: (SchemaNode & { kind: "record" })["fields"]): Step => {
    const members = fields.map(({ name, node }, index) => ({
      key: encoder.encode(`${index === 0 ? "{" : ","}${JSON.stringify(name)}:`),
      value: compileJson(node),
    }));
    return () => {
      enter(cursor, limits);
      if (members.length === 0) text("{");
      for (const { key, value } of members) {
        put(column, key, 0, key.length);
        value();
        assertWithinLimits();
      }
      text("}");
      cursor.depth--;
    };
  };

  const compileParts = (open: string, close: string, areEmpty: boolean, item: Step): Step => {
    return () => {
      enter(cursor, limits);
      const part: Part = { count: 0, partEnd: -1 };
      let isFirst = true;
      text(open);
      for (;;) {
        readPart(cursor, part, areEmpty, limits);
        if (part.count === 0) break;
        for (let left = part.count; left > 0; left--) {
          if (!isFirst) text(",");
          isFirst = false;
          item();
          assertWithinLimits();
        }
        assertPartEnd(cursor, part);
      }
      text(close);
      cursor.depth--;
    };
  };

  return compileJson;
}

function compileFloat(decoder: Decoder, column: ColumnBuilder, size: 4 | 8): Step {
  return () => {
    const value = readFloat(decoder, size);
    const isNumber = Number.isFinite(value);
    if (!isNumber) putAscii(column, '"');
    putDouble(column, value);
    if (!isNumber) putAscii(column, '"');
  };
}

function compileWhole(
  decoder: Decoder,
  node: SchemaNode & { kind: "int" | "long" },
  column: ColumnBuilder,
): Step {
  const { cursor } = decoder;
  const { logical } = node;
  const scalar = compileScalar(decoder, node, column) ?? (() => {});
  switch (logical.kind) {
    case "time":
      return () => {
        putAscii(column, '"');
        scalar();
        putAscii(column, '"');
      };
    case "date":
      return () => {
        const days = readInt(cursor);
        const text = dateText(days);
        putAscii(column, text === undefined ? String(days) : `"${text}"`);
      };
    case "timestamp":
      return () => {
        const ticks = readBigLong(decoder);
        const text = timestampText(ticks, logical.digits);
        const zone = logical.isLocal ? "" : "Z";
        putAscii(column, text === undefined ? ticks.toString() : `"${text}${zone}"`);
      };
    default:
      return scalar;
  }
}
