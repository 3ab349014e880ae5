import type { ColumnBuilder } from "../blocks/column-builder.ts";
import { roomFor } from "./text.ts";

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const HEX = new TextEncoder().encode("0123456789abcdef");

/** `\u00xx`. */
const ESCAPED_BYTES = 6;

/** Writes the UTF-8 in `bytes[from .. to)` as a JSON string; whether it is UTF-8 is seen when the block closes. */
export function putJsonString(
  bytes: Uint8Array,
  column: ColumnBuilder,
  from: number,
  to: number,
): void {
  write(bytes, column, from, to, false);
}

/** Writes bytes as a JSON string with one character for each. */
export function putJsonBytes(
  bytes: Uint8Array,
  column: ColumnBuilder,
  from: number,
  to: number,
): void {
  write(bytes, column, from, to, true);
}

function write(
  bytes: Uint8Array,
  column: ColumnBuilder,
  from: number,
  to: number,
  areBytes: boolean,
): void {
  // Room for the usual case; what has to be longer asks again.
  let data = roomFor(column, to - from + 2);
  let at = column.end;
  data[at++] = QUOTE;
  for (let i = from; i < to; i++) {
    const byte = bytes[i] ?? 0;
    const isPlain = byte >= 0x20 && byte !== QUOTE && byte !== BACKSLASH;
    if (isPlain && (byte < 0x80 || !areBytes)) {
      data[at++] = byte;
      continue;
    }
    column.end = at;
    data = roomFor(column, ESCAPED_BYTES + (to - i) + 1);
    at = areBytes && byte >= 0x80 ? writeLatin1(data, at, byte) : writeEscaped(data, at, byte);
  }
  data[at++] = QUOTE;
  column.end = at;
}

function writeLatin1(data: Uint8Array, start: number, byte: number): number {
  let at = start;
  data[at++] = 0xc0 | (byte >> 6);
  data[at++] = 0x80 | (byte & 0x3f);
  return at;
}

/** The control characters that have a letter, by their code: `\b`, `\t`, `\n`, `\f` and `\r`. */
const LETTERS = new Map([
  [0x08, 0x62],
  [0x09, 0x74],
  [0x0a, 0x6e],
  [0x0c, 0x66],
  [0x0d, 0x72],
]);

function writeEscaped(data: Uint8Array, start: number, byte: number): number {
  let at = start;
  data[at++] = BACKSLASH;
  const letter = byte >= 0x20 ? byte : LETTERS.get(byte);
  if (letter !== undefined) {
    data[at++] = letter;
    return at;
  }
  data[at++] = 0x75;
  data[at++] = 0x30;
  data[at++] = 0x30;
  data[at++] = HEX[byte >> 4] ?? 0;
  data[at++] = HEX[byte & 15] ?? 0;
  return at;
}
