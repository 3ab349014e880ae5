import { type Days, dayIn, MAX_DAYS, nextDay, shifted } from "../workflow/days.ts";

const DAY_MS = 86_400_000;

/** A run of a group, and what decides which days its couriers look at. */
export interface RunMoment {
  /** When the schedule fired, or when somebody asked. */
  readonly at: Date;
  /** The last run by schedule before it, or when there would have been one; undefined without a schedule. */
  readonly before: Date | undefined;
  readonly timeZone: string;
  /** The files of a run's own day alone, whatever was left out since the last run. */
  readonly onlyPastDay: boolean;
  /** Whether a required file need be there on one of the days only. */
  readonly isAnyDayEnough: boolean;
}

/**
 * The days whose files a courier loads: the run's day in the schedule's time zone, less the offset, and before it every
 * day since the last run.
 */
export function daysSince(moment: RunMoment, offsetMs: number): Days {
  const { at, before, timeZone, onlyPastDay } = moment;
  const day = dayOf(at, timeZone, offsetMs);
  const endDate = nextDay(day);
  if (onlyPastDay || before === undefined) return { startDate: day, endDate };
  const since = nextDay(dayOf(before, timeZone, offsetMs));
  const oldest = shifted(day, -(MAX_DAYS - 1));
  // Days sort as text: the latest of the two bounds, but never after the day itself.
  const [, first = day] = [since, oldest].sort();
  const [startDate = day] = [first, day].sort();
  return { startDate, endDate };
}

/**
 * Whether a run stands for several days, its schedule's last time having been before the day before: nobody knows on which
 * of them the files are dropped.
 */
export function isLessThanDaily(
  at: Date,
  previousFire: Date | undefined,
  timeZone: string,
): boolean {
  if (previousFire === undefined) return false;
  return nextDay(dayIn(previousFire, timeZone)) < dayIn(at, timeZone);
}

/** Whole days go back by the calendar, the rest by the clock: a change of the clocks moves no day. */
function dayOf(moment: Date, timeZone: string, offsetMs: number): string {
  const days = Math.floor(offsetMs / DAY_MS);
  const local = dayIn(new Date(moment.getTime() - (offsetMs - days * DAY_MS)), timeZone);
  return shifted(local, -days);
}

/** Named days that go back by the whole days of an offset: its hours move no day. */
export function shiftedDays({ startDate, endDate }: Days, offsetMs: number): Days {
  const days = -Math.floor(offsetMs / DAY_MS);
  return { startDate: shifted(startDate, days), endDate: shifted(endDate, days) };
}
