import type { Field } from "@sluice/schema";
import { quoteText } from "../quoting.ts";

const escapeRegex = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");

/** What a separator stands for: a blank is also the two no-break blanks that look like it. */
function separatorRegex(separator: string): string {
  return separator === " " ? "[ \u00a0\u202f]" : escapeRegex(separator);
}

/** What the casts read of a number's text, after the field's separators were resolved. */
export interface NumberText {
  readonly shared: readonly { readonly name: string; readonly sql: string }[];
  /** Text without groups, with a point before its fraction. */
  readonly text: string;
}

/**
 * A number as the field writes it: groups of three digits, checked, and its own sign before the fraction.
 * What is written otherwise becomes `x`, which no number's rule takes.
 */
export function plainNumberText(raw: string, name: string, field: Field): NumberText {
  const { thousandsSeparator, decimalSeparator = "." } = field;
  if (thousandsSeparator === undefined && decimalSeparator === ".")
    return { shared: [], text: raw };
  const point = separatorRegex(decimalSeparator);
  const group = thousandsSeparator === undefined ? undefined : separatorRegex(thousandsSeparator);
  const whole = group === undefined ? "[0-9]*" : `(?:[0-9]{1,3}(?:${group}[0-9]{3})+|[0-9]*)`;
  // Groups are of one sign: two kinds of blanks in one number are no harm, two signs are no number.
  const form = `^[+-]?${whole}(?:${point}[0-9]*)?(?:[eE][+-]?[0-9]+)?$`;
  const ungrouped = group === undefined ? raw : `replaceRegexpAll(${raw}, ${quoteText(group)}, '')`;
  const sql = `if(match(${raw}, ${quoteText(form)}), replaceOne(${ungrouped}, ${quoteText(decimalSeparator)}, '.'), 'x')`;
  return { shared: [{ name: `${name}_p`, sql }], text: `${name}_p` };
}

const FRACTION_OF_ZEROS = "(?:[.]0+)?";
/** In a field that says nothing of separators, `1.000` may be a thousand as well as one. */
const PLAIN_FRACTION_OF_ZEROS = "(?:[.](?:0{1,2}|0{4,}))?";

const saysSeparators = ({ thousandsSeparator, decimalSeparator }: Field): boolean =>
  thousandsSeparator !== undefined || decimalSeparator !== undefined;

/** What an integer's text may look like: digits, a fraction of zeros, a power of ten behind a whole number. */
export function integerForm(field: Field): string {
  const fraction = saysSeparators(field) ? FRACTION_OF_ZEROS : PLAIN_FRACTION_OF_ZEROS;
  return `^[+-]?[0-9]+(?:${fraction}|${FRACTION_OF_ZEROS}[eE][+]?[0-9]+)$`;
}

/** Most integers: digits, and a sign. */
export const plainIntegerOf = (text: string): string => `toInt64OrNull(${text})`;

/**
 * Text to Int64: `5.0` and `1E+2` are whole numbers too. A power of ten behind digits of a fraction
 * (`1.23457E+15`) is refused even where it is whole: that is how programs write numbers of which they
 * dropped digits.
 */
export function integerOf(text: string, field: Field): string {
  const direct = plainIntegerOf(text);
  const groups = `extractGroups(x, '^([+-]?[0-9]+)(?:[.]0+)?(?:[eE][+]?([0-9]{1,2}))?$')`;
  // For the rows alone that have such a text: functions over an array's elements spare the others.
  const rare = `if(ifNull(isNull(${direct}) AND ${text} != '', 0), [assumeNotNull(${text})], [])`;
  const whole = `arrayMap(g -> toInt64OrNull(concat(g[1], repeat('0', toUInt8OrZero(g[2])))), [${groups}])[1]`;
  const slow = `arrayMap(x -> if(match(x, ${quoteText(integerForm(field))}), ${whole}, NULL), ${rare})[1]`;
  return `ifNull(${direct}, ${slow})`;
}

/** What a decimal(precision, scale) holds without rounding: zeros beyond its digits cost nothing. */
export function exactDecimalForm(precision: number, scale: number): string {
  const integers = precision - scale;
  const fraction = scale === 0 ? "0*" : `[0-9]{0,${scale}}0*`;
  const bare = scale === 0 ? "0+" : `(?:[0-9]{1,${scale}}0*)`;
  const whole = integers === 0 ? "0+" : `0*[0-9]{1,${integers}}`;
  return `^[+-]?(?:${whole}(?:[.]${fraction})?|0*[.]${bare})$`;
}

/** What most values of a decimal(precision, scale) look like, where it has digits before the point. */
export function plainDecimalForm(precision: number, scale: number): string {
  const fraction = scale === 0 ? "" : `(?:[.][0-9]{1,${scale}})?`;
  return `^-?[0-9]{1,${precision - scale}}${fraction}$`;
}

/**
 * The text of a float without its power of ten, `1e-7` as `0.0000001`: ClickHouse writes very large and
 * very small ones with it. Of a finite float alone.
 */
export function unscaled(text: string): string {
  const groups = `extractGroups(x, '^(-?)([0-9]+)(?:[.]([0-9]+))?e([+-]?[0-9]+)$')`;
  const digits = "concat(g[2], g[3])";
  const point = "(toInt32(length(g[2])) + toInt32OrZero(g[4]))";
  const zeros = (count: string): string => `repeat('0', toUInt16(greatest(0, ${count})))`;
  const moved =
    `concat(g[1], if(${point} <= 0, '0', concat(substring(${digits}, 1, greatest(0, ${point})), ${zeros(`${point} - toInt32(length(${digits}))`)})), ` +
    `'.', if(${point} <= 0, ${zeros(`-${point}`)}, ''), substring(${digits}, greatest(0, ${point}) + 1), '0')`;
  const rare = `if(ifNull(position(${text}, 'e') > 0, 0), [assumeNotNull(${text})], [])`;
  return `ifNull(arrayMap(x -> arrayMap(g -> toNullable(if(length(g) = 4, ${moved}, x)), [${groups}])[1], ${rare})[1], ${text})`;
}
