import type { ColumnBuilder } from "../blocks/column-builder.ts";
import type { Decoder } from "./decoder.ts";
import { tooLarge } from "./fault.ts";
import { putScaled } from "./numbers.ts";
import { putAscii } from "./text.ts";

/** Numbers of up to this many bytes are taken as JavaScript's. */
const SMALL_BYTES = 6;

/**
 * Writes the decimal in `bytes[from .. to)`, two's complement, big-endian (specification, "Decimal"), with `scale`
 * digits behind the point. No bytes are zero.
 */
export function putDecimal(
  decoder: Decoder,
  column: ColumnBuilder,
  from: number,
  to: number,
  scale: number,
): void {
  const { cursor, limits } = decoder;
  const { bytes } = cursor;
  const isNegative = from < to && (bytes[from] ?? 0) >= 0x80;
  // Bytes that only repeat the sign say nothing.
  let at = from;
  const sign = isNegative ? 0xff : 0;
  while (at + 1 < to && bytes[at] === sign && ((bytes[at + 1] ?? 0) & 0x80) === (sign & 0x80)) at++;

  const { maxDecimalDigits } = limits;
  if (to - at > Math.ceil((maxDecimalDigits * Math.log2(10) + 1) / 8)) {
    throw tooLarge("digits of a decimal", "maxDecimalDigits", maxDecimalDigits);
  }
  if (to - at <= SMALL_BYTES) {
    let value = isNegative ? -1 : 0;
    for (; at < to; at++) value = value * 256 + (bytes[at] ?? 0);
    putScaled(column, value, scale);
    return;
  }
  const digits = magnitude(bytes, at, to, isNegative);
  putAscii(column, (isNegative ? "-" : "") + withPoint(digits, scale));
}

function magnitude(bytes: Uint8Array, from: number, to: number, isNegative: boolean): string {
  const hex = Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString("hex");
  const value = BigInt(`0x${hex}`);
  if (!isNegative) return value.toString();
  return ((1n << BigInt(8 * (to - from))) - value).toString();
}

function withPoint(digits: string, scale: number): string {
  if (scale === 0) return digits;
  const padded = digits.padStart(scale + 1, "0");
  const point = padded.length - scale;
  return `${padded.slice(0, point)}.${padded.slice(point)}`;
}
