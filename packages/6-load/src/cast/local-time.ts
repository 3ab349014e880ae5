import { quoteText } from "../quoting.ts";

/**
 * The spelling of an IANA zone that a time zone database has, or undefined for what is none. Names are
 * files on a server, so that their case counts there.
 */
export function zoneName(name: string): string | undefined {
  if (!/^[A-Za-z][A-Za-z0-9_+/-]*$/.test(name)) return undefined;
  try {
    const { timeZone } = new Intl.DateTimeFormat("en", { timeZone: name }).resolvedOptions();
    // An older name resolves to another one, and is known to the server under its own.
    return timeZone.toLowerCase() === name.toLowerCase() ? timeZone : name;
  } catch {
    return undefined;
  }
}

const DAY_SECONDS = 86_400;

/**
 * The moment at which clocks of the zone show `wall`, a DateTime64 that holds it as if it were UTC. A
 * time that the clocks show twice, when they are set back, is the earlier one; one that they pass over,
 * when they are set forward, never was: null.
 */
export function momentOf(wall: string, zone: string): string {
  const offset = (moment: string): string =>
    `timezoneOffset(toTimeZone(${moment}, ${quoteText(zone)}))`;
  // The offset of the day before comes first: it is the one that holds until the clocks change.
  const candidate = (shift: number): string =>
    `subtractSeconds(${wall}, ${offset(`addSeconds(${wall}, ${shift})`)})`;
  const shows = (moment: string): string => `addSeconds(${moment}, ${offset(moment)}) = ${wall}`;
  const [early, late] = [candidate(-DAY_SECONDS), candidate(DAY_SECONDS)];
  return `multiIf(isNull(${wall}) OR NOT ${isFarFromEnds(wall)}, NULL, ${shows(early)}, ${early}, ${shows(late)}, ${late}, NULL)`;
}

/** Whether days can be added and taken without leaving the calendar of DateTime64. */
export const isFarFromEnds = (wall: string): string =>
  `ifNull(${wall} > toDateTime64('0001-01-05 00:00:00', 6, 'UTC') AND ${wall} < toDateTime64('9999-12-28 00:00:00', 6, 'UTC'), 0)`;
