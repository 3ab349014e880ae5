import type { Field } from "@sluice/schema";
import { quoteText } from "../quoting.ts";
import { castDateText, castDateTimeText } from "./cast-time-text.ts";
import type { FieldCast } from "./field-cast.ts";

const TRUE_WORDS = "('true', 't', 'yes', 'y', '1')";
const FALSE_WORDS = "('false', 'f', 'no', 'n', '0')";

const matches = (raw: string, regex: string): string =>
  `ifNull(match(${raw}, ${quoteText(regex)}), 0)`;
const notEmptyText = (raw: string): string => `ifNull(${raw} != '', 0)`;

/** What a decimal(precision, scale) holds without rounding: zeros beyond its digits cost nothing. */
function exactDecimal(precision: number, scale: number): string {
  const integers = precision - scale;
  const fraction = scale === 0 ? "0*" : `[0-9]{0,${scale}}0*`;
  const bare = scale === 0 ? "0+" : `(?:[0-9]{1,${scale}}0*)`;
  const whole = integers === 0 ? "0+" : `0*[0-9]{1,${integers}}`;
  return `^[+-]?(?:${whole}(?:[.]${fraction})?|0*[.]${bare})$`;
}

/** Text rules, equal for every format that has no types of its own. Blanks are never cut off. */
export function castText(raw: string, name: string, field: Field): FieldCast {
  const { type } = field;
  const present = notEmptyText(raw);
  switch (type.kind) {
    case "string":
      return {
        shared: [],
        value: raw,
        present: `isNotNull(${raw})`,
        outOfRange: "0",
        expectation: "text",
      };
    case "integer":
      return {
        shared: [],
        value: `toInt64OrNull(${raw})`,
        present,
        outOfRange: matches(raw, "^[+-]?[0-9]+$"),
        expectation: "a whole number of 64 bits",
      };
    case "float":
      return {
        shared: [{ name: `${name}_f`, sql: `toFloat64OrNull(${raw})` }],
        value: `if(isFinite(${name}_f), ${name}_f, NULL)`,
        present,
        outOfRange: matches(raw, "^[+-]?(?:[0-9]+[.]?[0-9]*|[.][0-9]+)(?:[eE][+-]?[0-9]+)?$"),
        expectation: "a number",
      };
    case "decimal":
      return {
        shared: [],
        value: `if(${matches(raw, exactDecimal(type.precision, type.scale))}, CAST(toDecimal128OrNull(${raw}, ${type.scale}), 'Nullable(Decimal(${type.precision}, ${type.scale}))'), NULL)`,
        present,
        outOfRange: matches(raw, "^[+-]?(?:[0-9]+[.]?[0-9]*|[.][0-9]+)$"),
        expectation: `a number of at most ${type.precision} digits, ${type.scale} of them after the point`,
      };
    case "boolean":
      return {
        shared: [{ name: `${name}_w`, sql: `lower(${raw})` }],
        value: `multiIf(${name}_w IN ${TRUE_WORDS}, true, ${name}_w IN ${FALSE_WORDS}, false, NULL)`,
        present,
        outOfRange: "0",
        expectation: "true or false",
      };
    case "date":
      return castDateText(raw, field);
    case "datetime":
      return castDateTimeText(raw, field);
  }
}
