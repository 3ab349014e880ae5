import { bareType, timeScale } from "./source-type.ts";

/** First and last second of the calendar that DateTime64 shows: the years 1 to 9999. */
const FIRST_SECOND = -62_135_596_800n;
const LAST_SECOND = 253_402_300_799n;
const FIRST_DAY = -719_162;
const LAST_DAY = 2_932_896;
const INT64 = 2n ** 63n;

/** 1 where the ticks of a scale are a moment of the years 1 to 9999: others ClickHouse shows as its nearest. */
export function isShown(ticks: string, type: string): string {
  const unit = 10n ** BigInt(timeScale(type));
  const low = FIRST_SECOND * unit;
  const high = (LAST_SECOND + 1n) * unit - 1n;
  if (bareType(type) === "Int96") {
    return `${ticks} >= toInt128('${low}') AND ${ticks} <= toInt128('${high}')`;
  }
  // The lowest number has no literal of its own: it would be read as minus something too large.
  const lowest = low < -INT64 ? -INT64 : low;
  const highest = high >= INT64 ? INT64 - 1n : high;
  return `${ticks} >= toInt64('${lowest}') AND ${ticks} <= toInt64('${highest}')`;
}

/** A moment of the years 1 to 9999 as ClickHouse shows it; of nanoseconds all nine digits. */
export function momentText(ticks: string, type: string): string {
  if (bareType(type) !== "Int96") {
    return `toString(reinterpret(${ticks}, 'DateTime64(${timeScale(type)}, \\'UTC\\')'))`;
  }
  const since = `(${ticks} - toInt128('${FIRST_SECOND}000000000'))`;
  const second = `toInt64(intDiv(${since}, 1000000000)) + toInt64('${FIRST_SECOND}')`;
  const fraction = `leftPad(toString(toInt64(modulo(${since}, 1000000000))), 9, '0')`;
  return `concat(toString(reinterpret(${second}, 'DateTime64(0, \\'UTC\\')')), '.', ${fraction})`;
}

/** The moment's text where it is of the years 1 to 9999, else its ticks since 1970. */
export function momentOrTicks(ticks: string, type: string): string {
  const text = `if(${isShown(ticks, type)}, ${momentText(ticks, type)}, toString(${ticks}))`;
  return `if(isNull(${ticks}), NULL, ${text})`;
}

/** The text of a day since 1970 of the years 1 to 9999, of others their number. */
export function dayOrDays(days: string): string {
  const moment = `fromUnixTimestamp64Second(toInt64(ifNull(${days}, 0)) * 86400, 'UTC')`;
  const text = `if(${days} BETWEEN ${FIRST_DAY} AND ${LAST_DAY}, substring(toString(${moment}), 1, 10), toString(${days}))`;
  return `if(isNull(${days}), NULL, ${text})`;
}
