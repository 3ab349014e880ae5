import type { Field } from "@sluice/schema";
import { castDecimal, castText } from "./cast-text.ts";
import type { FieldCast } from "./field-cast.ts";
import { momentOf, zoneName } from "./local-time.ts";
import { isShown, momentText } from "./moment-text.ts";
import { unscaled } from "./number-text.ts";
import {
  bareType,
  isDays,
  isNanoseconds,
  type SourceKind,
  sourceKind,
  timeScale,
} from "./source-type.ts";
import { decimalOf, toTypedText } from "./typed-text.ts";

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

/** A moment as ticks of its type since 1970. */
function ticksOf(raw: string, type: string): string {
  if (isNanoseconds(type)) return raw;
  const isFine = bareType(type).startsWith("DateTime64");
  return isFine ? `reinterpret(${raw}, 'Int64')` : `toInt64(toUnixTimestamp(${raw}))`;
}

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
  // Moments are counted, since text of those beyond ClickHouse's years is that of the nearest.
  const ticks = `${name}_k`;
  const asTicks = { name: ticks, sql: ticksOf(raw, type) };
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
      if (kind === "datetime") {
        const shown = `if(${isShown(ticks, type)}, ${momentText(ticks, type)}, NULL)`;
        return {
          ...native(shown, "1", "a date and time of the years 1 to 9999"),
          shared: [asTicks],
        };
      }
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
      const { usual, ...cast } = castDecimal(text, field, field.type);
      const shared = [{ name: text, sql: shortest }];
      const exact = kind === "decimal" ? widened(raw, type, field.type) : undefined;
      // A detour by text is the longer form where there is one without.
      if (exact !== undefined) return { ...cast, shared, present, value: exact };
      return { ...cast, shared, present, ...(usual !== undefined && { usual }) };
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
      // Signed: of a negative number and a literal of 64 bits ClickHouse takes the remainder without signs.
      const day = `toInt64(${10 ** timeScale(type) * 86_400})`;
      const isMidnight = `${ticks} % ${day} = 0`;
      const days = dayOf(`toInt64(intDiv(${ticks}, ${day}))`);
      const expectation = "a date, or a date and time at midnight UTC";
      return { ...native(exactly(days, isMidnight), isMidnight, expectation), shared: [asTicks] };
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
      const finer = 10 ** Math.max(0, timeScale(type) - 6);
      const coarser = 10 ** Math.max(0, 6 - timeScale(type));
      const micros = finer > 1 ? `intDiv(${ticks}, ${finer})` : `${ticks} * ${coarser}`;
      const moment = `reinterpret(toInt64(${micros}), 'DateTime64(6, \\'UTC\\')')`;
      const value = exactly(moment, `${isShown(ticks, type)} AND ${ticks} % ${finer} = 0`);
      return { ...native(value, "1", expectation), shared: [asTicks] };
    }
  }
}

/**
 * A Decimal of no finer scale as the field's, without a detour by text: null where the field has not the digits. Files
 * may hold larger numbers than their type says, so that none goes into a CAST, which would fail the whole insert.
 */
function widened(
  raw: string,
  type: string,
  { precision, scale }: { readonly precision: number; readonly scale: number },
): string | undefined {
  const { bits, scale: sourceScale } = decimalOf(bareType(type));
  if (sourceScale > scale) return undefined;
  const integers = precision - scale;
  const cast = (value: string): string =>
    `CAST(${value}, 'Nullable(Decimal(${precision}, ${scale}))')`;
  // The field has all digits that so many bits can hold.
  if (integers + sourceScale > (DECIMAL_DIGITS[bits] ?? 0)) return cast(raw);
  const fraction = sourceScale === 0 ? "" : `.${"9".repeat(sourceScale)}`;
  const largest = `toDecimal${bits}('${"9".repeat(integers) || "0"}${fraction}', ${sourceScale})`;
  const fits = `(${raw} >= -${largest} AND ${raw} <= ${largest})`;
  // Below a null the number would still be there, and fail the CAST.
  return exactly(cast(`if(${fits}, ${raw}, toDecimal${bits}(0, ${sourceScale}))`), fits);
}

/** Digits that a Decimal of so many bits always holds; it may hold some numbers of one more. */
const DECIMAL_DIGITS: Readonly<Record<number, number>> = { 32: 9, 64: 18, 128: 38, 256: 76 };

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
