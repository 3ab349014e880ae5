import type { Field } from "@sluice/schema";
import { commonDateFormat, dateFormatsOf, mixedDates } from "./date-formats.ts";
import { type Guess, guess, shareOf } from "./guess.ts";
import { kindOf } from "./value-kind.ts";

/** A field's type with what its cast needs. */
export type TypeGuess = Pick<Field, "type" | "format" | "thousandsSeparator" | "decimalSeparator">;

const STRING: TypeGuess = { type: { kind: "string" } };
/** As many digits as there can be: the sample does not know the largest number. */
const MAX_PRECISION = 38;
const INT64 = 9_223_372_036_854_775_807n;

/** The narrowest type that all the texts of a column have; null ones do not count. */
export function inferType(name: string, values: readonly string[]): Guess<TypeGuess> {
  const texts = values.map((value) => value.trim()).filter((value) => value !== "");
  if (texts.length === 0) return guess(STRING, 0.2, "every value in the sample is empty");
  const all = (isOne: (text: string) => boolean): boolean => texts.every(isOne);
  const told = shareOf(texts.length, texts.length, "values");
  const sure = Math.round(Math.min(0.98, 0.6 + texts.length / 50) * 100) / 100;

  const eightDigits = texts.every((text) => /^\d{8}$/.test(text));
  if (eightDigits) {
    const format = commonDateFormat(texts);
    if (format !== undefined && (DATE_NAME.test(name) || texts.length >= 5)) {
      const value: TypeGuess = { type: { kind: format.kind }, format: format.format };
      return guess(value, 0.8, `${told} are dates of the form ${format.format}`);
    }
  }
  if (all((text) => kindOf(text) === "integer" && isInt64(text))) {
    return guess({ type: { kind: "integer" } }, sure, `${told} are whole numbers of 64 bits`);
  }
  const number = numberType(texts);
  if (number !== undefined) return guess(number.value, sure, `${told} are ${number.words}`);
  if (all((text) => kindOf(text) === "boolean")) {
    return guess({ type: { kind: "boolean" } }, sure, `${told} are words for true and false`);
  }
  return dateType(texts, told, sure) ?? textType(texts);
}

const DATE_NAME = /date|day|birth|dob|_dt$|_on$/i;

const isInt64 = (text: string): boolean => {
  const value = BigInt(text.replace(/^\+/, ""));
  return value <= INT64 && value >= -INT64 - 1n;
};

/** The marks between digits that numbers may have: none, or as in English, or as in German. */
const NUMBERS: readonly {
  readonly regex: RegExp;
  readonly separators: Pick<TypeGuess, "thousandsSeparator" | "decimalSeparator">;
  readonly words: string;
}[] = [
  { regex: /^[+-]?(?:0|[1-9]\d*)?(?:\.(\d+))?$/, separators: {}, words: "decimal numbers" },
  {
    regex: /^[+-]?(?:0|[1-9]\d{0,2}(?:,\d{3})+|[1-9]\d*)(?:\.(\d+))?$/,
    separators: { thousandsSeparator: "," },
    words: "decimal numbers, some with commas between thousands",
  },
  {
    regex: /^[+-]?(?:0|[1-9]\d{0,2}(?:\.\d{3})+|[1-9]\d*)(?:,(\d+))?$/,
    separators: { thousandsSeparator: ".", decimalSeparator: "," },
    words: "decimal numbers with a comma before the fraction",
  },
];

function numberType(
  texts: readonly string[],
): { readonly value: TypeGuess; readonly words: string } | undefined {
  for (const { regex, separators, words } of NUMBERS) {
    const matches = texts.map((text) => regex.exec(text));
    if (matches.some((match) => match === null)) continue;
    const scale = Math.max(...matches.map((match) => match?.[1]?.length ?? 0));
    const whole = Math.max(...texts.map((text) => text.replace(/\D/g, "").length));
    if (whole > MAX_PRECISION) return undefined;
    // Of 18 digits every number is one of 64 bits.
    if (scale === 0 && whole <= 18) {
      return { value: { type: { kind: "integer" }, ...separators }, words };
    }
    // A fraction of many digits is measured, not counted.
    const kind = scale > 9 ? { kind: "float" as const } : decimal(scale);
    return { value: { type: kind, ...separators }, words };
  }
  const isFloat = texts.every((text) => ["float", "decimal", "integer"].includes(kindOf(text)));
  return isFloat ? { value: { type: { kind: "float" } }, words: "floating numbers" } : undefined;
}

const decimal = (scale: number): TypeGuess["type"] => ({
  kind: "decimal",
  precision: MAX_PRECISION,
  scale,
});

function dateType(
  texts: readonly string[],
  told: string,
  sure: number,
): Guess<TypeGuess> | undefined {
  const common = commonDateFormat(texts);
  if (common !== undefined) {
    const { format, kind } = common;
    const isAmbiguous = texts.every((text) =>
      dateFormatsOf(text).some(
        (other) =>
          other.kind === kind && other.format !== format && isSwapped(other.format, format),
      ),
    );
    const doubt = isAmbiguous ? "; days and months could be the other way round" : "";
    const confidence = isAmbiguous ? 0.6 : sure;
    const evidence = `${told} have the form ${format}${doubt}`;
    return guess({ type: { kind }, format }, confidence, evidence);
  }
  const kind = mixedDates(texts);
  if (kind === undefined) return undefined;
  const evidence = `${told} have documented forms, not all the same one`;
  return guess({ type: { kind } }, Math.min(sure, 0.8), evidence);
}

const isSwapped = (one: string, other: string): boolean =>
  one.replace("dd/MM", "MM/dd") === other.replace("dd/MM", "MM/dd");

function textType(texts: readonly string[]): Guess<TypeGuess> {
  const kinds = new Set(texts.map(kindOf));
  if (kinds.size === 1) return guess(STRING, 0.95, "the values are text");
  const others = texts.filter((text) => kindOf(text) !== "text").length;
  const evidence = `${shareOf(others, texts.length, "values")} look like numbers or dates; the others are text`;
  return guess(STRING, others > texts.length * 0.9 ? 0.6 : 0.9, evidence);
}

/** What a column's own type makes of a field; undefined for text, which has to be looked at. */
export function typeOfColumn(type: string): TypeGuess | undefined {
  const bare = bareType(type);
  if (/^U?Int(8|16|32|64)$/.test(bare)) return { type: { kind: "integer" } };
  if (/^U?Int(128|256)$/.test(bare)) return STRING;
  if (/^B?Float/.test(bare)) return { type: { kind: "float" } };
  const [, precision, scale] = /^Decimal\((\d+),\s*(\d+)\)$/.exec(bare) ?? [];
  if (precision !== undefined && Number(precision) <= MAX_PRECISION) {
    return { type: { kind: "decimal", precision: Number(precision), scale: Number(scale) } };
  }
  if (bare === "Bool") return { type: { kind: "boolean" } };
  if (/^Date(32)?$/.test(bare)) return { type: { kind: "date" } };
  if (/^DateTime|^Int96$/.test(bare)) return { type: { kind: "datetime" } };
  return /^(String|FixedString\(\d+\))$/.test(bare) ? undefined : STRING;
}

function bareType(type: string): string {
  const inner = /^(?:Nullable|LowCardinality)\((.*)\)$/s.exec(type)?.[1];
  return inner === undefined ? type : bareType(inner);
}
