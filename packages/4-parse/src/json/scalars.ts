import { BACKSLASH, QUOTE, type Scan, SPACE, stop, stopAtLimit } from "./scan.ts";
import { digitExpected, valueExpected } from "./unexpected.ts";

/** The bytes that may stand behind a backslash, `u` apart. */
const ESCAPES: Uint8Array = flags('"\\/bfnrt');
const HEX_DIGITS: Uint8Array = flags("0123456789abcdefABCDEF");

const MINUS = 0x2d;
const PLUS = 0x2b;
const POINT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const LOWER_E = 0x65;
const UPPER_E = 0x45;
const LOWER_U = 0x75;

const TRUE: Uint8Array = Buffer.from("true");
const FALSE: Uint8Array = Buffer.from("false");
const NULL: Uint8Array = Buffer.from("null");

function flags(characters: string): Uint8Array {
  const table = new Uint8Array(256);
  for (const character of characters) table[character.charCodeAt(0)] = 1;
  return table;
}

/**
 * The closing quote of the string whose content begins at `from` (RFC 8259 section 7). Whether its
 * bytes are UTF-8 and its escaped surrogates come in pairs is not looked at.
 */
export function endOfString(scan: Scan, bytes: Uint8Array, from: number): number {
  let i = skipPlain(bytes, from);
  if (bytes[i] === QUOTE) {
    scan.hasEscapes = false;
  } else {
    i = endOfEscaped(scan, bytes, i);
    scan.hasEscapes = true;
  }
  return limited(scan, from, i, "bytes in a string");
}

/**
 * `end`, unless the string or number that begins at `from` is over the limit there, or, when it is
 * STOPPED, was before it stopped: then it stops where it passes the limit, however much of it is there.
 */
function limited(scan: Scan, from: number, end: number, unit: string): number {
  const { maxValueBytes } = scan.limits;
  if ((end < 0 ? scan.at : end) - from <= maxValueBytes) return end;
  return stopAtLimit(scan, from + maxValueBytes, "maxValueBytes", unit);
}

/** From `from` on, the first byte that is no character of a string as it stands. */
function skipPlain(bytes: Uint8Array, from: number): number {
  let i = from;
  let c = bytes[i] as number;
  while (c !== QUOTE && c !== BACKSLASH && c >= SPACE) c = bytes[++i] as number;
  return i;
}

function endOfEscaped(scan: Scan, bytes: Uint8Array, from: number): number {
  let i = from;
  while (bytes[i] === BACKSLASH) {
    const kind = bytes[i + 1] as number;
    if (ESCAPES[kind] === 1) {
      i += 2;
    } else if (kind === LOWER_U) {
      for (let digit = i + 2; digit < i + 6; digit++) {
        if (HEX_DIGITS[bytes[digit] as number] !== 1) {
          return stop(scan, digit, "four hexadecimal digits are expected behind \\u");
        }
      }
      i += 6;
    } else {
      return stop(scan, i + 1, "no such escape");
    }
    i = skipPlain(bytes, i);
  }
  if (bytes[i] === QUOTE) return i;
  return stop(scan, i, "a control character stands in a string: it has to be escaped");
}

/** The position behind a number, `true`, `false` or `null`. */
export function endOfScalar(scan: Scan, bytes: Uint8Array, from: number): number {
  switch (bytes[from]) {
    case 0x74:
      return endOfWord(scan, bytes, from, TRUE);
    case 0x66:
      return endOfWord(scan, bytes, from, FALSE);
    case 0x6e:
      return endOfWord(scan, bytes, from, NULL);
    default:
      return limited(scan, from, endOfNumber(scan, bytes, from), "bytes in a number");
  }
}

function endOfWord(scan: Scan, bytes: Uint8Array, from: number, word: Uint8Array): number {
  for (let k = 1; k < word.length; k++) {
    if (bytes[from + k] !== word[k]) {
      return stop(scan, from + k, "only true, false and null are words");
    }
  }
  return from + word.length;
}

/** RFC 8259 section 6. What follows the number is the caller's to judge. */
function endOfNumber(scan: Scan, bytes: Uint8Array, from: number): number {
  let i = from;
  let c = bytes[i] as number;
  if (c === MINUS) {
    c = bytes[++i] as number;
    if (c < ZERO || c > NINE) return stop(scan, i, digitExpected(c));
  } else if (c < ZERO || c > NINE) {
    return stop(scan, i, valueExpected(c));
  }
  if (c === ZERO) {
    c = bytes[++i] as number;
    if (c >= ZERO && c <= NINE) return stop(scan, i, "a number may not begin with a zero");
  } else {
    i = skipDigits(bytes, i + 1);
    c = bytes[i] as number;
  }
  if (c === POINT) {
    const digits = i + 1;
    i = skipDigits(bytes, digits);
    if (i === digits) return stop(scan, i, "a digit is expected");
    c = bytes[i] as number;
  }
  if (c === LOWER_E || c === UPPER_E) {
    c = bytes[++i] as number;
    if (c === PLUS || c === MINUS) i++;
    const digits = i;
    i = skipDigits(bytes, digits);
    if (i === digits) return stop(scan, i, "a digit is expected");
  }
  return i;
}

function skipDigits(bytes: Uint8Array, from: number): number {
  let i = from;
  let c = bytes[i] as number;
  while (c >= ZERO && c <= NINE) c = bytes[++i] as number;
  return i;
}
