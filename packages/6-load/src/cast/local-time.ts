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
 * Zones whose clocks were once set forward by a whole day, when their islands changed to the other side of
 * the date line. ClickHouse looks offsets up by the local day, and is a day off ever after; for these
 * their changes are written into the statement.
 */
const PASSED_A_DAY: ReadonlySet<string> = new Set([
  "Pacific/Apia",
  "Pacific/Fakaofo",
  "Pacific/Kwajalein",
  "Kwajalein",
  "Pacific/Kiritimati",
  "Pacific/Enderbury",
  "Pacific/Kanton",
]);

/** Seconds that clocks of the zone are ahead of UTC at a moment. */
function offsetAt(moment: string, zone: string): string {
  if (!PASSED_A_DAY.has(zone)) {
    return `timezoneOffset(toTimeZone(${moment}, ${quoteText(zone)}))`;
  }
  const changes = changesOf(zone);
  const [first, ...others] = changes.map(({ seconds }) => seconds);
  const since = changes.slice(1).map(({ at }) => at);
  const seconds = `intDiv(toUnixTimestamp64Micro(${moment}), 1000000)`;
  return `toInt32([${[first, ...others].join(", ")}][1 + arrayCount(_t -> _t <= ${seconds}, [${since.join(", ")}])])`;
}

interface Change {
  /** Seconds since 1970 from which on clocks are `seconds` ahead of UTC. */
  readonly at: number;
  readonly seconds: number;
}

const STEP_SECONDS = 10 * DAY_SECONDS;
const known = new Map<string, readonly Change[]>();

/** The changes of a zone's clocks from 1900 to 2100, by this process's own time zone database. */
function changesOf(zone: string): readonly Change[] {
  const there = known.get(zone);
  if (there !== undefined) return there;
  const ahead = aheadOfUtc(zone);
  const start = Date.UTC(1900, 0, 1) / 1000;
  const changes: Change[] = [{ at: start, seconds: ahead(start) }];
  for (let at = start; at < Date.UTC(2100, 0, 1) / 1000; at += STEP_SECONDS) {
    let [low, high] = [at, at + STEP_SECONDS];
    if (ahead(low) === ahead(high)) continue;
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      if (ahead(middle) === ahead(low)) low = middle;
      else high = middle;
    }
    changes.push({ at: high, seconds: ahead(high) });
  }
  known.set(zone, changes);
  return changes;
}

function aheadOfUtc(zone: string): (seconds: number) => number {
  const format = new Intl.DateTimeFormat("en", {
    timeZone: zone,
    hourCycle: "h23",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
    second: "numeric",
  });
  return (seconds) => {
    const shown = new Map(
      format.formatToParts(seconds * 1000).map(({ type, value }) => [type, Number(value)]),
    );
    const part = (type: Intl.DateTimeFormatPartTypes): number => shown.get(type) ?? 0;
    const [hour, minute, second] = [part("hour"), part("minute"), part("second")];
    const wall = Date.UTC(part("year"), part("month") - 1, part("day"), hour, minute, second);
    return wall / 1000 - seconds;
  };
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
