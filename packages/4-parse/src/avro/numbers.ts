import type { ColumnBuilder } from "../blocks/column-builder.ts";
import type { Cursor } from "./cursor.ts";
import { putAscii, roomFor } from "./text.ts";

/** The four digits of each number below 10,000, as the 32 bits that they are in memory. */
const FOUR_DIGITS = Uint32Array.from({ length: 10_000 }, (_, value) =>
  Buffer.from(String(value).padStart(4, "0")).readUInt32BE(),
);

const MINUS = 0x2d;
const POINT = 0x2e;
const ZERO = 0x30;
const EIGHT_DIGITS = 100_000_000;

/** Room for any safe integer, a point, and what is written behind them to be written over. */
const NUMBER_BYTES = 24;

/** Writes a safe integer in decimal. */
export function putInteger(column: ColumnBuilder, value: number): void {
  roomFor(column, NUMBER_BYTES);
  column.end = writeInteger(column.view, column.end, value);
}

/** Writes a safe integer with a point before its last `scale` digits; zeros stand in for digits that it does not have. */
export function putScaled(column: ColumnBuilder, value: number, scale: number): void {
  const data = roomFor(column, NUMBER_BYTES + scale);
  const from = value < 0 ? column.end + 1 : column.end;
  let end = writeInteger(column.view, column.end, value);
  column.end = end;
  if (scale === 0) return;
  const missing = scale + 1 - (end - from);
  if (missing > 0) {
    data.copyWithin(from + missing, from, end);
    data.fill(ZERO, from, from + missing);
    end += missing;
  }
  const point = end - scale;
  for (let at = end; at > point; at--) data[at] = data[at - 1] as number;
  data[point] = POINT;
  column.end = end + 1;
}

/** A long as `readLong` gives it: NaN stands for the cursor's big one. */
export function putLong(cursor: Cursor, column: ColumnBuilder, value: number): void {
  if (Number.isNaN(value)) putAscii(column, cursor.big.toString());
  else putInteger(column, value);
}

function writeInteger(view: DataView, start: number, value: number): number {
  let at = start;
  let left = value;
  if (left < 0) {
    view.setUint8(at++, MINUS);
    left = -left;
  }
  if (left < EIGHT_DIGITS) return writeTop(view, at, left);
  const top = Math.floor(left / EIGHT_DIGITS);
  // 2^53 has 16 digits: what is left over 8 is below 10^8 again.
  at = writeTop(view, at, top);
  const rest = left - top * EIGHT_DIGITS;
  const high = (rest / 10_000) | 0;
  view.setUint32(at, FOUR_DIGITS[high] ?? 0);
  view.setUint32(at + 4, FOUR_DIGITS[rest - high * 10_000] ?? 0);
  return at + 8;
}

/** Writes a number below 10^8 without zeros in front: they are shifted out of the four bytes. */
function writeTop(view: DataView, at: number, value: number): number {
  const high = (value / 10_000) | 0;
  const low = FOUR_DIGITS[value - high * 10_000] ?? 0;
  if (high === 0) {
    const digits = digitsOf(value);
    view.setUint32(at, low << (8 * (4 - digits)));
    return at + digits;
  }
  const digits = digitsOf(high);
  view.setUint32(at, (FOUR_DIGITS[high] ?? 0) << (8 * (4 - digits)));
  view.setUint32(at + digits, low);
  return at + digits + 4;
}

/** Of a number below 10,000. */
function digitsOf(value: number): number {
  return value < 100 ? (value < 10 ? 1 : 2) : value < 1000 ? 3 : 4;
}

/** The most hundredths that the quick way of `putDouble` takes: 15 digits. */
const QUICK = 1e15;

/**
 * Writes a double so that it reads back as itself: the shortest such decimal, in JavaScript's notation; `nan`, `inf` and
 * `-inf` as ClickHouse writes them.
 */
export function putDouble(column: ColumnBuilder, value: number): void {
  // Amounts are mostly a whole number of hundredths. A quotient of two exact numbers is rounded correctly, so that an
  // equal one proves the digits, and 15 of them are never more than the shortest form has.
  const hundredths = Math.round(value * 100);
  const isQuick = hundredths < QUICK && hundredths > -QUICK && hundredths / 100 === value;
  if (!isQuick || Object.is(value, -0)) putAscii(column, doubleText(value));
  else if (Math.trunc(value) === value) putInteger(column, value);
  else putHundredths(column, hundredths);
}

function doubleText(value: number): string {
  if (Number.isFinite(value)) return Object.is(value, -0) ? "-0" : String(value);
  return Number.isNaN(value) ? "nan" : value < 0 ? "-inf" : "inf";
}

/** Writes a number of hundredths that is no whole one, without a zero at the end. */
function putHundredths(column: ColumnBuilder, hundredths: number): void {
  roomFor(column, NUMBER_BYTES);
  const { view } = column;
  let at = column.end;
  let left = hundredths;
  if (left < 0) {
    view.setUint8(at++, MINUS);
    left = -left;
  }
  const whole = Math.floor(left / 100);
  const fraction = left - whole * 100;
  at = writeInteger(view, at, whole);
  view.setUint8(at, POINT);
  view.setUint16(at + 1, (FOUR_DIGITS[fraction] ?? 0) & 0xffff);
  column.end = at + (fraction % 10 === 0 ? 2 : 3);
}
