import type { Field } from "@sluice/schema";
import { quoteText } from "../quoting.ts";
import { castDateText, castDateTimeText } from "./cast-time-text.ts";
import type { FieldCast } from "./field-cast.ts";
import {
  exactDecimalForm,
  integerForm,
  integerOf,
  plainDecimalForm,
  plainIntegerOf,
  plainNumberText,
} from "./number-text.ts";

export const TRUE_WORDS: readonly string[] = ["true", "t", "yes", "y", "1"];
export const FALSE_WORDS: readonly string[] = ["false", "f", "no", "n", "0"];

const NON_FINITE = "(?i)^[+-]?(?:nan|inf|infinity)$";

const matches = (raw: string, regex: string): string =>
  `ifNull(match(${raw}, ${quoteText(regex)}), 0)`;

/** The blanks of ASCII around a value; others, such as no-break ones, are part of it. */
const trimmed = (raw: string): string => `trimBoth(${raw}, ' \\t\\n\\x0B\\f\\r')`;

/**
 * Text rules, equal for every format that has no types of its own. Blanks are cut off only where the
 * field says so. `raw` is text that stands in a column by itself or that `shared` makes elsewhere;
 * `column` is the same from the columns alone.
 */
export function castText(raw: string, name: string, field: Field, column: string = raw): FieldCast {
  if (field.trim !== true) return castTrimmed(raw, name, field, column);
  const cast = castTrimmed(`${name}_t`, name, field, trimmed(column));
  return { ...cast, shared: [{ name: `${name}_t`, sql: trimmed(raw) }, ...cast.shared] };
}

function castTrimmed(raw: string, name: string, field: Field, column: string): FieldCast {
  const { type } = field;
  const present = `ifNull(${column} != '', 0)`;
  switch (type.kind) {
    case "string":
      return {
        shared: [],
        value: field.emptyIsNull === true ? `nullIf(${raw}, '')` : raw,
        present: field.emptyIsNull === true ? present : `isNotNull(${column})`,
        outOfRange: "0",
        expectation: "text",
      };
    case "integer": {
      const { shared, text } = plainNumberText(raw, name, field);
      return {
        shared,
        value: integerOf(text, field),
        usual: plainIntegerOf(text),
        present,
        outOfRange: matches(text, integerForm(field)),
        expectation: "a whole number of 64 bits",
      };
    }
    case "float":
      return castFloat(raw, name, field, column);
    case "decimal": {
      const { shared, text } = plainNumberText(raw, name, field);
      return { ...castDecimal(text, field, type), shared, present };
    }
    case "boolean":
      return castBoolean(raw, name, field, present);
    case "date":
      return { ...castDateText(raw, field), present };
    case "datetime":
      return { ...castDateTimeText(raw, field), present };
  }
}

/** A number's text, without separators, to a decimal: refused where it would be rounded. */
export function castDecimal(
  text: string,
  field: Field,
  { precision, scale }: { readonly precision: number; readonly scale: number },
): FieldCast {
  return {
    shared: [],
    // What does not fit is kept from the CAST, which fails the whole insert even for values below a null.
    value: `CAST(toDecimal128OrNull(if(${matches(text, exactDecimalForm(precision, scale))}, ${text}, ''), ${scale}), 'Nullable(Decimal(${precision}, ${scale}))')`,
    ...(precision > scale && { usual: usualDecimal(text, precision, scale) }),
    present: `isNotNull(${text})`,
    outOfRange: matches(text, "^[+-]?(?:[0-9]+[.]?[0-9]*|[.][0-9]+)$"),
    expectation: `a number of at most ${precision} digits, ${scale} of them after the ${field.decimalSeparator === "," ? "comma" : "point"}`,
  };
}

/** Digits, a point and no more digits than the decimal has: for most amounts, in half of the time. */
function usualDecimal(text: string, precision: number, scale: number): string {
  const isUsual = matches(text, plainDecimalForm(precision, scale));
  const toDecimal = precision > 18 ? "toDecimal128" : "toDecimal64";
  // Zero stands in for what is left out: the CAST fails the insert also for values below a null.
  const parsed = `if(${isUsual}, ${toDecimal}OrNull(${text}, ${scale}), ${toDecimal}(0, ${scale}))`;
  return `if(${isUsual}, CAST(${parsed}, 'Nullable(Decimal(${precision}, ${scale}))'), NULL)`;
}

function castFloat(raw: string, name: string, field: Field, column: string): FieldCast {
  const { shared, text } = plainNumberText(raw, name, field);
  const parsed = `${name}_f`;
  const { nonFinite = "reject" } = field;
  const finite = `if(isFinite(${parsed}), ${parsed}, NULL)`;
  const isWord = matches(raw, NON_FINITE);
  return {
    shared: [...shared, { name: parsed, sql: `toFloat64OrNull(${text})` }],
    value: nonFinite === "keep" ? `if(${isWord}, toFloat64OrNull(${raw}), ${finite})` : finite,
    present:
      nonFinite === "null"
        ? `(ifNull(${column} != '', 0) AND NOT ${matches(column, NON_FINITE)})`
        : `ifNull(${column} != '', 0)`,
    outOfRange: matches(text, "^[+-]?(?:[0-9]+[.]?[0-9]*|[.][0-9]+)(?:[eE][+-]?[0-9]+)?$"),
    expectation: "a number",
  };
}

/** Words of the field's own stand in for the documented ones of that side; both without regard to case. */
function castBoolean(raw: string, name: string, field: Field, present: string): FieldCast {
  const word = `${name}_w`;
  const list = (words: readonly string[]): string =>
    `(${words.map((text) => `lowerUTF8(${quoteText(text)})`).join(", ")})`;
  const isTrue = `${word} IN ${list(field.trueWords ?? TRUE_WORDS)}`;
  const isFalse = `${word} IN ${list(field.falseWords ?? FALSE_WORDS)}`;
  return {
    shared: [{ name: word, sql: `lowerUTF8(${raw})` }],
    value: `multiIf(${isTrue}, true, ${isFalse}, false, NULL)`,
    present,
    outOfRange: "0",
    expectation:
      field.trueWords === undefined && field.falseWords === undefined
        ? "true or false"
        : "one of the field's words for true and false",
  };
}
