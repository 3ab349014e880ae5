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
 * Where clocks were set forward by a whole day: when, in seconds since 1970, and by how many seconds they
 * were ahead of UTC then. ClickHouse looks offsets up by the day, and takes the day after for the one before.
 */
const PASSED_DAYS: ReadonlyMap<string, readonly [number, number]> = new Map([
  ["Pacific/Apia", [1_325_239_200, 50_400]],
  ["Pacific/Fakaofo", [1_325_242_800, 46_800]],
  ["Pacific/Kwajalein", [745_934_400, 43_200]],
  ["Kwajalein", [745_934_400, 43_200]],
  ["Pacific/Kiritimati", [788_868_000, 50_400]],
  ["Pacific/Enderbury", [788_871_600, 46_800]],
  ["Pacific/Kanton", [788_871_600, 46_800]],
]);

/** Seconds that clocks of the zone are ahead of UTC at a moment. */
function offsetAt(moment: string, zone: string): string {
  const offset = `timezoneOffset(toTimeZone(${moment}, ${quoteText(zone)}))`;
  const passed = PASSED_DAYS.get(zone);
  if (passed === undefined) return offset;
  const [from, after] = passed;
  const seconds = `intDiv(toUnixTimestamp64Micro(${moment}), 1000000)`;
  return `if(${seconds} >= ${from} AND ${seconds} < ${from + 2 * DAY_SECONDS}, toInt32(${after}), toInt32(${offset}))`;
}

/**
 * The moment at which clocks of the zone show `wall`, a DateTime64 that holds it as if it were UTC. A
 * time that the clocks show twice, when they are set back, is the earlier one; one that they pass over,
 * when they are set forward, never was: null.
 */
export function momentOf(wall: string, zone: string): string {
  const offset = (moment: string): string => offsetAt(moment, zone);
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
