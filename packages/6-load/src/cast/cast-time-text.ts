import type { Field } from "@sluice/schema";
import { quoteText } from "../quoting.ts";
import type { FieldCast } from "./field-cast.ts";
import { isFarFromEnds, momentOf, zoneName } from "./local-time.ts";
import {
  compileTimeFormat,
  DEFAULT_DATE,
  DEFAULT_DATETIME,
  type TimePart,
  type TimePattern,
  ZONE_SECONDS,
} from "./time-pattern.ts";

const MONTHS = "janfebmaraprmayjunjulaugsepoctnovdec";
const NOTHING = "''";

/** The text of a part: its groups in all alternatives, of which at most one holds something. */
function part(pattern: TimePattern, groups: string, wanted: TimePart): string {
  const found = pattern.groups.flatMap((name, at) =>
    name === wanted ? [`${groups}[${at + 1}]`] : [],
  );
  if (found.length === 0) return NOTHING;
  return found.length === 1 ? `${found[0]}` : `concat(${found.join(", ")})`;
}

const concat = (...parts: string[]): string => {
  const written = parts.filter((text) => text !== NOTHING);
  if (written.length === 0) return NOTHING;
  return written.length === 1 ? `${written[0]}` : `concat(${written.join(", ")})`;
};
const unlessEmpty = (text: string, then: string): string =>
  text === NOTHING ? NOTHING : `if(${text} = '', '', ${then})`;
const twoDigits = (text: string): string => unlessEmpty(text, `leftPad(${text}, 2, '0')`);

/** `yyyy-mm-dd` of a value that the pattern matched; years of two digits run from 1970 to 2069. */
function canonicalDate(pattern: TimePattern, groups: string): string {
  const text = (wanted: TimePart): string => part(pattern, groups, wanted);
  const short = text("shortYear");
  const name = text("monthName");
  const month = concat(
    twoDigits(text("month")),
    unlessEmpty(
      name,
      `leftPad(toString(intDiv(position('${MONTHS}', lower(substring(${name}, 1, 3))) + 2, 3)), 2, '0')`,
    ),
  );
  const year = concat(
    text("year"),
    unlessEmpty(short, `concat(if(${short} < '70', '20', '19'), ${short})`),
  );
  const day = twoDigits(text("day"));
  // A format without a day, a month or a year means the first one, as Joda-Time has it.
  const or = (value: string, first: string): string => (value === NOTHING ? first : value);
  return `concat(${or(year, "'1970'")}, '-', ${or(month, "'01'")}, '-', ${or(day, "'01'")})`;
}

/** `HH:mm:ss.ffffff`; `x` stands where digits beyond the sixth would be lost, so that nothing parses. */
function canonicalTime(pattern: TimePattern, groups: string): string {
  const text = (wanted: TimePart): string => part(pattern, groups, wanted);
  const hour12 = text("hour12");
  const half = text("half");
  const afternoon = half === NOTHING ? "0" : `if(lower(${half}) = 'pm', 12, 0)`;
  const twelve = `toUInt8OrZero(${hour12})`;
  const hour = concat(
    twoDigits(text("hour")),
    unlessEmpty(
      hour12,
      `if(${twelve} BETWEEN 1 AND 12, leftPad(toString(${twelve} % 12 + ${afternoon}), 2, '0'), 'xx')`,
    ),
  );
  const orZeros = (value: string): string =>
    value === NOTHING ? "'00'" : `if(${value} = '', '00', ${value})`;
  const fraction = text("fraction");
  const micros =
    fraction === NOTHING
      ? "'000000'"
      : `if(substring(rightPad(${fraction}, 9, '0'), 7, 3) = '000', substring(rightPad(${fraction}, 9, '0'), 1, 6), 'x')`;
  return `concat(${orZeros(hour)}, ':', ${orZeros(twoDigits(text("minute")))}, ':', ${orZeros(twoDigits(text("second")))}, '.', ${micros})`;
}

/** Seconds east of Greenwich, or `unnamed` where the text names no zone. */
function zoneSeconds(pattern: TimePattern, groups: string, unnamed: string): string {
  const zone = part(pattern, groups, "zone");
  if (zone === NOTHING) return unnamed;
  const digits = `replaceOne(${zone}, ':', '')`;
  const hours = `toInt32OrZero(substring(${digits}, 2, 2))`;
  const minutes = `toInt32OrZero(substring(${digits}, 4, 2))`;
  const names = [...ZONE_SECONDS.keys()].map(quoteText).join(", ");
  const seconds = [...ZONE_SECONDS.values()].map((value) => `toInt32(${value})`).join(", ");
  return (
    `multiIf(${zone} = '', ${unnamed}, startsWith(${zone}, '+') OR startsWith(${zone}, '-'), ` +
    `(${hours} * 3600 + ${minutes} * 60) * if(startsWith(${zone}, '-'), -1, 1), ` +
    `transform(lower(${zone}), [${names}], [${seconds}], toInt32(0)))`
  );
}

/**
 * ClickHouse's own parsers wrap impossible days into the next month, hours of 25 into the next day, and
 * clamp years. So a value counts only if printing what was parsed gives the same text again.
 */
export const reprints = (canonical: string): string => {
  const parsed = `toDateTime64OrNull(${canonical}, 6, 'UTC')`;
  return `if(toString(${parsed}) = ${canonical}, ${parsed}, NULL)`;
};
/** The same for a date. */
export const reprintsDate = (canonical: string): string => {
  const parsed = `toDate32OrNull(${canonical})`;
  return `if(toString(${parsed}) = ${canonical}, ${parsed}, NULL)`;
};

/** A day that exists in some year of the same kind: the calendar repeats every 400 years. */
const dayExists = (day: string): string => {
  const moved = `concat(toString(1900 + (toUInt32OrZero(substring(${day}, 1, 4)) + 100) % 400), substring(${day}, 5))`;
  return `ifNull(toString(toDate32OrNull(${moved})) = ${moved}, 0)`;
};

/**
 * The groups of a raw value in an array of one, or an empty array where `unless` is 1. Functions over
 * the array's elements run for the rows that have one: the only way to spare the others that the
 * server does not undo (its short circuit works `if` out row by row, and shared parts again each time).
 */
const groupsOf = (raw: string, pattern: TimePattern, unless: string): string =>
  `arrayMap(x -> extractGroups(x, ${quoteText(pattern.regex)}), if(ifNull(${raw} = '' OR ${unless}, 1), [], [assumeNotNull(${raw})]))`;

/** Text to Date32 (1900 to 2299). A format with a time is read by its date. */
export function castDateText(raw: string, field: Field): FieldCast {
  const pattern =
    field.format === undefined ? DEFAULT_DATE : compileTimeFormat(field.format, field.name);
  const direct = `toDate32OrNull(${raw})`;
  const isIso =
    field.format === undefined || field.format === "yyyy-MM-dd"
      ? `ifNull(toString(${direct}) = ${raw}, 0)`
      : "0";
  const days = (unless: string): string =>
    `arrayMap(g -> ${canonicalDate(pattern, "g")}, ${groupsOf(raw, pattern, unless)})`;
  const slow = `arrayMap(t -> ${reprintsDate("t")}, ${days(isIso)})[1]`;
  return {
    shared: [],
    value: isIso === "0" ? slow : `if(${isIso}, ${direct}, ${slow})`,
    ...(isIso === "0" ? {} : { usual: `if(${isIso}, ${direct}, NULL)` }),
    present: `ifNull(${raw} != '', 0)`,
    outOfRange: `arrayExists(t -> ${dayExists("t")}, ${days("0")})`,
    expectation: field.format === undefined ? "a date" : `a date of the form ${field.format}`,
  };
}

/**
 * A moment that ClickHouse parses as it stands, but for days that its month does not have: those become
 * days of the next month, or the calendar's first, and are told by their number. Half the time of printing it.
 */
const ISO_MOMENT =
  "^(?:19|2[0-2])[0-9]{2}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])[ T](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:[.][0-9]{1,6})?$";

/** Stands for a zone that the text does not name: no zone is this far from Greenwich. */
const UNNAMED = "toInt32(1000000)";

/**
 * Text to DateTime64(6, 'UTC'). A value without a time is midnight; one without a zone is UTC, or a time of
 * the field's zone.
 */
export function castDateTimeText(raw: string, field: Field): FieldCast {
  const pattern =
    field.format === undefined ? DEFAULT_DATETIME : compileTimeFormat(field.format, field.name);
  const zone = field.timeZone === undefined ? undefined : zoneName(field.timeZone);
  const direct = `toDateTime64OrNull(${raw}, 6, 'UTC')`;
  const isIso =
    field.format === undefined
      ? `ifNull(match(${raw}, '${ISO_MOMENT}') AND toDayOfMonth(${direct}) = toUInt8OrZero(substring(${raw}, 9, 2)), 0)`
      : "0";
  const canonical = `concat(${canonicalDate(pattern, "g")}, ' ', ${canonicalTime(pattern, "g")})`;
  const seconds = zoneSeconds(pattern, "g", zone === undefined ? "toInt32(0)" : UNNAMED);
  const moments = (unless: string): string =>
    `arrayMap(g -> (${canonical}, ${seconds}), ${groupsOf(raw, pattern, unless)})`;
  // Within a day of the calendar's ends a zone could push the moment beyond them.
  const shifted = `if(m.2 = 0 OR (m.1 > '0001-01-03' AND m.1 < '9999-12-30'), subtractSeconds(${reprints("m.1")}, m.2), NULL)`;
  // A lambda names what is used several times: the wall clock's reading is parsed once.
  const local = (wall: string, of: string): string =>
    zone === undefined ? of : `arrayMap(w -> ${momentOf("w", zone)}, [${wall}])[1]`;
  const moment =
    zone === undefined
      ? shifted
      : `if(m.2 = ${UNNAMED}, ${local(reprints("m.1"), "")}, ${shifted})`;
  const slow = `arrayMap(m -> ${moment}, ${moments(isIso)})[1]`;
  // The clock is right if it is on some day: finer than a microsecond, or in another year, is out of range.
  const clock = "concat('2000-01-01', substring(m.1, 11, 9), '.000000')";
  const wasPassedOver =
    zone === undefined
      ? ""
      : ` AND NOT (m.2 = ${UNNAMED} AND ${isFarFromEnds(reprints("m.1"))} AND isNull(${local(reprints("m.1"), "")}))`;
  const expectation =
    field.format === undefined ? "a date and time" : `a date and time of the form ${field.format}`;
  return {
    shared: [],
    value: isIso === "0" ? slow : `if(${isIso}, ${local(direct, direct)}, ${slow})`,
    ...(isIso === "0" ? {} : { usual: `if(${isIso}, ${local(direct, direct)}, NULL)` }),
    present: `ifNull(${raw} != '', 0)`,
    outOfRange: `arrayExists(m -> ${dayExists("substring(m.1, 1, 10)")} AND isNotNull(${reprints(clock)})${wasPassedOver}, ${moments("0")})`,
    expectation: zone === undefined ? expectation : `${expectation} that clocks of ${zone} show`,
  };
}
