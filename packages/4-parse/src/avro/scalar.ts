import type { ColumnBuilder } from "../blocks/column-builder.ts";
import { readIndex, readInt, readLength, readLong } from "./cursor.ts";
import { putDecimal } from "./decimals.ts";
import { assertRecordBytes, type Decoder, type Step } from "./decoder.ts";
import { malformed } from "./fault.ts";
import { durationText, timeText, uuidText } from "./moments.ts";
import { putDouble, putInteger, putLong } from "./numbers.ts";
import type { SchemaNode } from "./schema.ts";
import { put, putAscii, putFrom } from "./text.ts";

const encoder = new TextEncoder();
const TRUE = encoder.encode("true");
const FALSE = encoder.encode("false");

/**
 * Makes the step that reads a value and puts it into a column as the text that `SourceColumn.type` promises for
 * its type; undefined for types that hold others, and for null.
 */
export function compileScalar(
  decoder: Decoder,
  node: SchemaNode,
  column: ColumnBuilder,
): Step | undefined {
  const { cursor } = decoder;
  switch (node.kind) {
    case "boolean":
      return () => {
        const isTrue = readBoolean(decoder);
        put(column, isTrue ? TRUE : FALSE, 0, isTrue ? 4 : 5);
      };
    case "int":
      if (node.logical.kind === "time") return compileTime(decoder, column, node.logical.digits);
      return () => putInteger(column, readInt(cursor));
    case "long":
      if (node.logical.kind === "time") return compileTime(decoder, column, node.logical.digits);
      return () => putLong(cursor, column, readLong(cursor));
    case "float":
      return () => putDouble(column, readFloat(decoder, 4));
    case "double":
      return () => putDouble(column, readFloat(decoder, 8));
    case "enum": {
      const symbols = node.symbols.map((symbol) => encoder.encode(symbol));
      return () => {
        const symbol = symbols[readIndex(cursor, symbols.length, "enum symbol")] ?? TRUE;
        put(column, symbol, 0, symbol.length);
      };
    }
    case "string":
    case "bytes": {
      const { logical } = node;
      return () => {
        const from = takeText(decoder, readLength(cursor));
        if (logical.kind === "decimal") {
          putDecimal(decoder, column, from, cursor.at, logical.scale);
        } else putFrom(cursor, column, from, cursor.at);
      };
    }
    case "fixed":
      return compileFixed(decoder, node, column);
    default:
      return undefined;
  }
}

function compileFixed(
  decoder: Decoder,
  { size, logical }: SchemaNode & { kind: "fixed" },
  column: ColumnBuilder,
): Step {
  const { cursor } = decoder;
  switch (logical.kind) {
    case "decimal":
      return () => {
        const from = take(decoder, size);
        putDecimal(decoder, column, from, from + size, logical.scale);
      };
    case "uuid":
      return () => putAscii(column, uuidText(cursor.bytes, take(decoder, size)));
    case "duration":
      return () => {
        const from = take(decoder, size);
        const part = (index: number): number => cursor.view.getUint32(from + 4 * index, true);
        putAscii(column, durationText(part(0), part(1), part(2)));
      };
    default:
      return () => {
        const from = takeText(decoder, size);
        putFrom(cursor, column, from, from + size);
      };
  }
}

function compileTime(decoder: Decoder, column: ColumnBuilder, digits: number): Step {
  return () => putAscii(column, timeText(readBigLong(decoder), digits));
}

/** Moves behind `size` bytes that must be there, and says where they begin. */
export function take({ cursor }: Decoder, size: number): number {
  const from = cursor.at;
  if (size > cursor.end - from) throw malformed("a value goes on beyond the block's end");
  cursor.at = from + size;
  return from;
}

/** The same for what is written out whole: too long a text is refused before there is room made for it. */
export function takeText(decoder: Decoder, size: number): number {
  assertRecordBytes(size, decoder.limits);
  return take(decoder, size);
}

export function readBoolean(decoder: Decoder): boolean {
  const byte = decoder.cursor.bytes[take(decoder, 1)] ?? 0;
  if (byte > 1) throw malformed("a boolean that is neither 0 nor 1");
  return byte === 1;
}

export function readFloat(decoder: Decoder, size: 4 | 8): number {
  const at = take(decoder, size);
  const { view } = decoder.cursor;
  return size === 8 ? view.getFloat64(at, true) : view.getFloat32(at, true);
}

export function readBigLong({ cursor }: Decoder): bigint {
  const value = readLong(cursor);
  return Number.isNaN(value) ? cursor.big : BigInt(value);
}
