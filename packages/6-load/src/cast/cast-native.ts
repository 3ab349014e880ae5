import type { Field } from "@sluice/schema";
import { castDecimal, castText } from "./cast-text.ts";
import { reprints, reprintsDate } from "./cast-time-text.ts";
import type { FieldCast } from "./field-cast.ts";
import { momentOf, zoneName } from "./local-time.ts";
import { unscaled } from "./number-text.ts";
import { isDays, type SourceKind, sourceKind, timeScale } from "./source-type.ts";
import { toTypedText } from "./typed-text.ts";

const CASTABLE: Readonly<Record<Field["type"]["kind"], readonly SourceKind[]>> = {
  string: ["text", "integer", "float", "decimal", "boolean", "date", "datetime", "nested", "other"],
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

const dayOf = (raw: string): string =>
  `if(${raw} BETWEEN -25567 AND 120529, toDate32('1970-01-01') + ${raw}, NULL)`;

const exactly = (value: string, back: string): string => `if(${back}, ${value}, NULL)`;

/**
 * Native rules: a value becomes the field's type if nothing of it is lost. `raw` has the type that
 * `readType` gives and is not nested; text follows the text rules.
 */
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
    const bytes = toTypedText(raw, type);
    const cast = castText(text, name, field, bytes);
    return { ...cast, shared: [{ name: text, sql: bytes }, ...cast.shared] };
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
      const shortest = kind === "float" ? unscaled(asText.sql) : asText.sql;
      const cast = castDecimal(text, field, field.type);
      return { ...cast, shared: [{ name: text, sql: shortest }], present };
    }
    case "float":
      if (kind === "float") return castFloats(raw, field);
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
        const midnight = `toDateTime64(${day}, 6, 'UTC')`;
        // A day names no zone: it begins when it does in the field's.
        const zone = field.timeZone === undefined ? undefined : zoneName(field.timeZone);
        if (zone === undefined) return native(midnight, "1", expectation);
        const begin = `arrayMap(w -> ${momentOf("w", zone)}, [${midnight}])[1]`;
        return native(begin, `isNull(${midnight})`, `a day that begins at midnight in ${zone}`);
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

/** NaN and the infinities are no numbers unless the field says what becomes of them. */
function castFloats(raw: string, field: Field): FieldCast {
  const { nonFinite = "reject" } = field;
  const isNumber = `isFinite(${raw})`;
  return {
    shared: [],
    value: nonFinite === "keep" ? `toFloat64(${raw})` : exactly(`toFloat64(${raw})`, isNumber),
    present: nonFinite === "null" ? `ifNull(${isNumber}, 0)` : `isNotNull(${raw})`,
    outOfRange: "0",
    expectation: "a finite number",
  };
}
