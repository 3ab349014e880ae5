import { Cron } from "croner";

/** When a group runs by itself, as people write it. */
export interface CronSchedule {
  /** Minute, hour, day of the month, month, day of the week; a sixth field before them names seconds. */
  readonly cron: string;
  /** Of the time zone database: Europe/Berlin. */
  readonly timeZone: string;
}

/** What is wrong with a schedule, and with which of its fields. */
export interface ScheduleFault {
  readonly field: "cron" | "time_zone";
  readonly message: string;
}

/** Fires that are closer together than that are a typing error: runs would pile up. */
const SHORTEST_PAUSE_MS = 60_000;
/** How many fires are looked at to find two that are too close. */
const LOOKED_AT = 60;

/** Why a schedule can't be kept; undefined when it can. */
export function scheduleFault(schedule: CronSchedule, now: Date): ScheduleFault | undefined {
  if (!isTimeZone(schedule.timeZone)) {
    const message = `${JSON.stringify(schedule.timeZone)} is not a time zone: Europe/Berlin is one, and UTC`;
    return { field: "time_zone", message };
  }
  const fields = schedule.cron.trim().split(/\s+/);
  if (!schedule.cron.startsWith("@") && fields.length !== 5 && fields.length !== 6) {
    return {
      field: "cron",
      message: "has to have five fields, or six with the seconds before them",
    };
  }
  try {
    const fires = cronOf(schedule).nextRuns(LOOKED_AT, now);
    if (fires.length === 0) return { field: "cron", message: "names no time that will ever come" };
    const isTooOften = fires.some((fire, index) => {
      const before = fires[index - 1];
      return before !== undefined && fire.getTime() - before.getTime() < SHORTEST_PAUSE_MS;
    });
    if (isTooOften) return { field: "cron", message: "fires more often than once a minute" };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { field: "cron", message: why.replace(/^CronPattern: /, "") };
  }
  return undefined;
}

/**
 * The first fire after a moment; undefined when there is none any more. A local time that a change of the clocks
 * leaves out fires once, when the clocks have jumped; one that comes twice fires the first time. Schedules of every
 * hour go on by real time.
 */
export function nextFire(schedule: CronSchedule, after: Date): Date | undefined {
  return cronOf(schedule).nextRun(after) ?? undefined;
}

/** The last fire before a moment; undefined when there was none. */
export function previousFire(schedule: CronSchedule, before: Date): Date | undefined {
  return cronOf(schedule).previousRuns(1, before)[0];
}

/** The last fire up to and including `now`, of those from `first` on, which is one: what a downtime left to be done. */
export function latestFire(schedule: CronSchedule, first: Date, now: Date): Date {
  const latest = previousFire(schedule, new Date(now.getTime() + 1));
  return latest !== undefined && latest > first ? latest : first;
}

function cronOf({ cron, timeZone }: CronSchedule): Cron {
  return new Cron(cron, { timezone: timeZone, paused: true });
}

function isTimeZone(name: string): boolean {
  try {
    return name !== "" && new Intl.DateTimeFormat("en", { timeZone: name }) !== undefined;
  } catch {
    // A RangeError is the answer.
    return false;
  }
}
