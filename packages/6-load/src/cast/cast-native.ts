import type { Field } from "@sluice/schema";
import { castText } from "./cast-text.ts";
import { reprints, reprintsDate } from "./cast-time-text.ts";
import type { FieldCast } from "./field-cast.ts";

/** The families of ClickHouse types that the cast rules tell apart. */
type SourceKind =
  | "text"
  | "integer"
  | "float"
  | "decimal"
  | "boolean"
  | "date"
  | "datetime"
  | "other";

/** A ClickHouse type without its Nullable and LowCardinality. */
export function bareType(type: string): string {
  const inner = /^(?:Nullable|LowCardinality)\((.*)\)$/s.exec(type)?.[1];
  return inner === undefined ? type : bareType(inner);
}

function sourceKind(type: string): SourceKind {
  const bare = bareType(type);
  if (/^(String|FixedString\(\d+\))$/.test(bare)) return "text";
  if (/^U?Int(8|16|32|64|128|256)$/.test(bare)) return "integer";
  if (/^(B?Float\d+)$/.test(bare)) return "float";
  if (/^Decimal/.test(bare)) return "decimal";
  if (bare === "Bool") return "boolean";
  if (/^Date(32)?$/.test(bare)) return "date";
  if (/^DateTime(64)?(\(.*\))?$/.test(bare)) return "datetime";
  return "other";
}

const CASTABLE: Readonly<Record<Field["type"]["kind"], readonly SourceKind[]>> = {
  string: ["text", "integer", "float", "decimal", "boolean", "date", "datetime", "other"],
  integer: ["text", "integer", "float", "decimal", "boolean"],
  float: ["text", "integer", "float", "decimal"],
  decimal: ["text", "integer", "float", "decimal"],
  boolean: ["text", "integer", "boolean"],
  date: ["text", "date", "datetime"],
  datetime: ["text", "date", "datetime"],
};

/** Whether values of the type can become the field's at all; else no row of the file would pass. */
export function isCastable(type: string, field: Field): boolean {
  return CASTABLE[field.type.kind].includes(sourceKind(type));
}

const isDays = (type: string): boolean => bareType(type) === "Date32";

/**
 * The type that a column is asked for as. Of a Parquet date beyond Date32's years ClickHouse fails the
 * whole insert, so dates are read as what they are stored as: days since 1970.
 */
export function readType(type: string): string {
  return isDays(type) ? "Nullable(Int32)" : type;
}

const dayOf = (raw: string): string =>
  `if(${raw} BETWEEN -25567 AND 120529, toDate32('1970-01-01') + ${raw}, NULL)`;

const exactly = (value: string, back: string): string => `if(${back}, ${value}, NULL)`;

/** Native rules: a value becomes the field's type if nothing of it is lost. */
export function castNative(raw: string, type: string, name: string, field: Field): FieldCast {
  const kind = sourceKind(type);
  const present = `isNotNull(${raw})`;
  const text = `${name}_s`;
  const asText = { name: text, sql: `toString(${raw})` };
  const native = (value: string, outOfRange: string, expectation: string): FieldCast => ({
    shared: [],
    value,
    present,
    outOfRange,
    expectation,
  });

  if (kind === "text") {
    const cast = castText(text, name, field);
    const filled = field.type.kind === "string" ? present : `ifNull(toString(${raw}) != '', 0)`;
    return { ...cast, shared: [asText, ...cast.shared], present: filled };
  }
  switch (field.type.kind) {
    case "string":
      if (isDays(type)) return native(`toString(${dayOf(raw)})`, "1", "a date of 1900 to 2299");
      return native(`toString(${raw})`, "0", "text");
    case "integer": {
      const expectation = "a whole number of 64 bits";
      if (kind === "boolean") return native(`toInt64(${raw})`, "0", expectation);
      // Of a Decimal accurateCastOrNull drops the fraction, and throws where it overflows.
      if (kind === "decimal") {
        const outOfRange = `match(${text}, '^-?[0-9]+$')`;
        return { ...native(`toInt64OrNull(${text})`, outOfRange, expectation), shared: [asText] };
      }
      return native(
        `accurateCastOrNull(${raw}, 'Int64')`,
        kind === "float" ? `isFinite(${raw}) AND abs(${raw}) >= 9223372036854775808` : "1",
        expectation,
      );
    }
    case "decimal": {
      // The shortest text that reads back as the same value goes through the text rules.
      const cast = castText(text, name, field);
      return { ...cast, shared: [asText, ...cast.shared], present };
    }
    case "float":
      if (kind === "float") {
        return native(exactly(`toFloat64(${raw})`, `isFinite(${raw})`), "0", "a finite number");
      }
      return native(
        kind === "decimal" ? `toFloat64(${raw})` : `accurateCastOrNull(${raw}, 'Float64')`,
        "1",
        "a number that a float holds exactly",
      );
    case "boolean":
      return native(
        kind === "boolean" ? raw : `multiIf(${raw} = 1, true, ${raw} = 0, false, NULL)`,
        "0",
        "true or false",
      );
    case "date": {
      if (isDays(type)) return native(dayOf(raw), "1", "a date of 1900 to 2299");
      if (kind === "date") return native(`toDate32(${raw})`, "0", "a date");
      const isMidnight = `match(${text}, ' 00:00:00([.]0+)?$')`;
      const day = reprintsDate(`substring(${text}, 1, 10)`);
      const expectation = "a date, or a date and time at midnight UTC";
      return { ...native(exactly(day, isMidnight), isMidnight, expectation), shared: [asText] };
    }
    case "datetime": {
      const expectation = "a date and time of whole microseconds";
      if (kind === "date") {
        const day = isDays(type) ? dayOf(raw) : `toDate32(${raw})`;
        return native(`toDateTime64(${day}, 6, 'UTC')`, "1", expectation);
      }
      if (timeScale(type) > 6) {
        const micros = `CAST(${raw}, 'Nullable(DateTime64(6, \\'UTC\\'))')`;
        return native(exactly(micros, `${micros} = ${raw}`), "1", expectation);
      }
      // A scale is raised by multiplying, which throws where it overflows; as text it is refused.
      const whole = `concat(${text}, '${timeScale(type) === 0 ? "." : ""}${"0".repeat(6 - timeScale(type))}')`;
      return { ...native(reprints(whole), "1", expectation), shared: [asText] };
    }
  }
}

/** Digits of a second's fraction. */
function timeScale(type: string): number {
  return Number(/^DateTime64\((\d+)/.exec(bareType(type))?.[1] ?? 0);
}
