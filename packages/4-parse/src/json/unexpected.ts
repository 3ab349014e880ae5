import { CLOSE_BRACE, CLOSE_BRACKET, COMMA } from "./scan.ts";

/**
 * What stands where a value or a key is expected, in words, by its first byte alone: more of it may stand behind the window. Of
 * letters and digits nothing is said but for what other tools write for numbers: they are data.
 */

const VALUES: ReadonlyMap<number, string> = new Map([
  [COMMA, "not another comma"],
  [CLOSE_BRACKET, "not ]: no comma stands before it"],
  [CLOSE_BRACE, "not }: a value is missing before it"],
  ["N".charCodeAt(0), "not N: NaN and None are no values of JSON"],
  ["I".charCodeAt(0), "not I: Infinity is no value of JSON"],
  ["'".charCodeAt(0), "not ': text stands in double quotes"],
]);

export function valueExpected(seen: number | undefined): string {
  const words = seen === undefined ? undefined : VALUES.get(seen);
  return words === undefined ? "a value is expected" : `a value is expected, ${words}`;
}

/** Behind a minus sign. */
export function digitExpected(seen: number | undefined): string {
  const isInfinity = seen === "I".charCodeAt(0);
  return isInfinity
    ? "a digit is expected, not I: -Infinity is no value of JSON"
    : "a digit is expected";
}

export function keyExpected(seen: number | undefined): string {
  const base = "a key in double quotes is expected";
  return seen === CLOSE_BRACE ? `${base}, not }: no comma stands before it` : base;
}
