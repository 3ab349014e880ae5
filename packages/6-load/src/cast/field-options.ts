import type { Field } from "@sluice/schema";
import { FALSE_WORDS, TRUE_WORDS } from "./cast-text.ts";
import { zoneName } from "./local-time.ts";

/** What of a field's options could not mean what it says, in words. */
export function fieldOptionProblems(field: Field): string[] {
  const { name, timeZone, trueWords, falseWords, thousandsSeparator, decimalSeparator } = field;
  const problems: string[] = [];
  const refuse = (problem: string): void => void problems.push(`the field ${name} ${problem}`);
  if (timeZone !== undefined && zoneName(timeZone) === undefined) {
    refuse(`has the time zone ${JSON.stringify(timeZone)}, which is no IANA zone`);
  }
  if (thousandsSeparator !== undefined && !/^[,. '_]$/.test(thousandsSeparator)) {
    refuse(
      `has the thousands separator ${JSON.stringify(thousandsSeparator)}, which is none of , . ' _ and the blank`,
    );
  }
  if (decimalSeparator !== undefined && !/^[.,]$/.test(decimalSeparator)) {
    refuse(
      `has the decimal separator ${JSON.stringify(decimalSeparator)}, which is neither . nor ,`,
    );
  }
  if (thousandsSeparator !== undefined && thousandsSeparator === (decimalSeparator ?? ".")) {
    refuse(
      `has ${thousandsSeparator} both between thousands and before the fraction: set the decimal separator too`,
    );
  }
  for (const [side, words] of [
    ["true", trueWords],
    ["false", falseWords],
  ] as const) {
    if (words?.length === 0) refuse(`has no word for ${side}`);
    if (words?.includes("")) refuse(`has an empty word for ${side}, but empty text is null`);
  }
  const falses = new Set((falseWords ?? FALSE_WORDS).map((word) => word.toLowerCase()));
  const both = (trueWords ?? TRUE_WORDS).filter((word) => falses.has(word.toLowerCase()));
  if (both.length > 0) {
    refuse(`has ${both.map((word) => JSON.stringify(word)).join(", ")} for true and for false`);
  }
  return problems;
}
