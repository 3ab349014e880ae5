import { describe, expect, test } from "vitest";
import { daysSince, isLessThanDaily, type RunMoment } from "../src/groups/run-days.ts";
import { daysOfMember } from "../src/groups/run-scope.ts";
import { latestFire, nextFire, previousFire, scheduleFault } from "../src/groups/schedule.ts";

function fires(cron: string, timeZone: string, after: string, count: number): string[] {
  const found: string[] = [];
  let at = new Date(after);
  for (let fire = 0; fire < count; fire++) {
    const next = nextFire({ cron, timeZone }, at);
    if (next === undefined) break;
    found.push(next.toISOString().replace(":00.000Z", "Z"));
    at = next;
  }
  return found;
}

describe("a schedule over changes of the clocks", () => {
  const FRIDAY_BERLIN = "2026-03-28T00:00:00Z";

  test("fires once for a local time that is left out, when the clocks have jumped", () => {
    expect(fires("30 2 * * *", "Europe/Berlin", FRIDAY_BERLIN, 3)).toEqual([
      "2026-03-28T01:30Z",
      "2026-03-29T01:00Z",
      "2026-03-30T00:30Z",
    ]);
    expect(fires("30 2 * * *", "America/New_York", "2026-03-07T00:00:00Z", 3)).toEqual([
      "2026-03-07T07:30Z",
      "2026-03-08T07:00Z",
      "2026-03-09T06:30Z",
    ]);
  });

  test("fires once for a local time that comes twice", () => {
    expect(fires("30 2 * * *", "Europe/Berlin", "2026-10-24T00:00:00Z", 3)).toEqual([
      "2026-10-24T00:30Z",
      "2026-10-25T00:30Z",
      "2026-10-26T01:30Z",
    ]);
    expect(fires("30 1 * * *", "America/New_York", "2026-10-31T00:00:00Z", 3)).toEqual([
      "2026-10-31T05:30Z",
      "2026-11-01T05:30Z",
      "2026-11-02T06:30Z",
    ]);
  });

  test("keeps the local time on both sides of a change", () => {
    expect(fires("0 6 * * *", "Europe/Berlin", FRIDAY_BERLIN, 3)).toEqual([
      "2026-03-28T05:00Z",
      "2026-03-29T04:00Z",
      "2026-03-30T04:00Z",
    ]);
    expect(fires("0 6 * * 1", "America/New_York", "2026-10-31T00:00:00Z", 2)).toEqual([
      "2026-11-02T11:00Z",
      "2026-11-09T11:00Z",
    ]);
  });

  test("goes on by real time when it fires every hour", () => {
    expect(fires("0 * * * *", "Europe/Berlin", "2026-10-24T23:30:00Z", 3)).toEqual([
      "2026-10-25T00:00Z",
      "2026-10-25T01:00Z",
      "2026-10-25T02:00Z",
    ]);
    expect(fires("0 * * * *", "Europe/Berlin", "2026-03-29T00:30:00Z", 2)).toEqual([
      "2026-03-29T01:00Z",
      "2026-03-29T02:00Z",
    ]);
  });

  test("fires once at the moment the clocks jump, also when two of its times fall there", () => {
    expect(fires("0 2,3 * * *", "Europe/Berlin", "2026-03-28T10:00:00Z", 2)).toEqual([
      "2026-03-29T01:00Z",
      "2026-03-30T00:00Z",
    ]);
  });
});

test("after a downtime only the latest fire is left", () => {
  const schedule = { cron: "0 6 * * *", timeZone: "Europe/Berlin" };
  const first = new Date("2026-03-27T05:00:00Z");
  const at = (now: string): string => latestFire(schedule, first, new Date(now)).toISOString();
  expect(at("2026-03-30T03:59:59.999Z")).toBe("2026-03-29T04:00:00.000Z");
  expect(at("2026-03-30T04:00:00Z")).toBe("2026-03-30T04:00:00.000Z");
  expect(at("2026-03-27T05:00:00Z")).toBe("2026-03-27T05:00:00.000Z");
});

test.each([
  ["0 6 * * *", "2026-11-16T05:00:00Z", false],
  ["0 */4 * * *", "2026-11-16T03:00:00Z", false],
  ["0 6 * * 1", "2026-11-16T05:00:00Z", true],
  ["0 6 1 * *", "2026-12-01T05:00:00Z", true],
  // Monday stands for the weekend too, Tuesday for itself.
  ["0 6 * * MON-FRI", "2026-11-16T05:00:00Z", true],
  ["0 6 * * MON-FRI", "2026-11-17T05:00:00Z", false],
  // 25 hours lie between two nights of the last Sunday in October.
  ["30 0 * * *", "2026-10-25T23:30:00Z", false],
])("%s at %s stands for several days: %s", (cron, text, isSeveral) => {
  const at = new Date(text);
  const previous = previousFire({ cron, timeZone: "Europe/Berlin" }, at);
  expect(isLessThanDaily(at, previous, "Europe/Berlin")).toBe(isSeveral);
});

describe("a schedule that can't be kept", () => {
  const now = new Date("2026-11-23T12:00:00Z");
  test.each([
    ["61 * * * *", "UTC", "cron"],
    ["every day", "UTC", "cron"],
    ["0 0 31 2 *", "UTC", "cron"],
    ["* * * * * *", "UTC", "cron"],
    ["0 0 0 1 1 * 2030", "UTC", "cron"],
    ["0 6 * * *", "Mars/Olympus", "time_zone"],
    ["0 6 * * *", "", "time_zone"],
  ])("%s in %s is refused by its %s", (cron, timeZone, field) => {
    expect(scheduleFault({ cron, timeZone }, now)?.field).toBe(field);
  });
  test.each([
    ["0 6 * * *", "Europe/Berlin"],
    ["*/5 * * * *", "UTC"],
    ["0 6 L * *", "America/New_York"],
    ["30 15 6 * * MON-FRI", "Asia/Kolkata"],
    ["@daily", "UTC"],
  ])("%s in %s is kept", (cron, timeZone) => {
    expect(scheduleFault({ cron, timeZone }, now)).toBeUndefined();
  });
});

describe("the days that a courier of a group looks at", () => {
  const HOUR = 3_600_000;
  const moment = (at: string, before?: string, more: Partial<RunMoment> = {}): RunMoment => ({
    at: new Date(at),
    before: before === undefined ? undefined : new Date(before),
    timeZone: "Europe/Berlin",
    onlyPastDay: false,
    isAnyDayEnough: false,
    ...more,
  });

  test("the run's own day in the schedule's time zone, at first", () => {
    const days = daysSince(moment("2026-06-01T22:30:00Z"), 0);
    expect(days).toEqual({ startDate: "2026-06-02", endDate: "2026-06-03" });
  });

  test("one day for a daily group, also over a change of the clocks", () => {
    const days = daysSince(moment("2026-03-29T22:30:00Z", "2026-03-28T23:30:00Z"), 24 * HOUR);
    // 24 hours before half past midnight it was still the 28th: the 29th had 23 hours.
    expect(days).toEqual({ startDate: "2026-03-29", endDate: "2026-03-30" });
  });

  test("every day since the last run, for a group that runs less often", () => {
    const weekly = moment("2026-11-16T05:00:00Z", "2026-11-09T05:00:00Z");
    expect(daysSince(weekly, 0)).toEqual({ startDate: "2026-11-10", endDate: "2026-11-17" });
    const offset = daysSince(weekly, 48 * HOUR);
    expect(offset).toEqual({ startDate: "2026-11-08", endDate: "2026-11-15" });
  });

  test("its own day alone, when only the past day is asked for", () => {
    const weekly = moment("2026-11-16T05:00:00Z", "2026-11-09T05:00:00Z", { onlyPastDay: true });
    expect(daysSince(weekly, 0)).toEqual({ startDate: "2026-11-16", endDate: "2026-11-17" });
  });

  test("the same day again, for a group that runs more often than daily", () => {
    const hourly = moment("2026-11-16T05:00:00Z", "2026-11-16T04:00:00Z");
    expect(daysSince(hourly, 0)).toEqual({ startDate: "2026-11-16", endDate: "2026-11-17" });
  });

  test("an offset of hours goes back by the clock", () => {
    const days = daysSince(moment("2026-11-16T01:00:00Z"), 3 * HOUR);
    expect(days).toEqual({ startDate: "2026-11-15", endDate: "2026-11-16" });
  });

  test("named ones go back by the whole days of an offset, and everything by none", () => {
    const days = { startDate: "2026-02-28", endDate: "2026-03-03" };
    expect(daysOfMember({ case: "days", days }, 23 * HOUR)).toEqual(days);
    expect(daysOfMember({ case: "days", days }, 71 * HOUR)).toEqual({
      startDate: "2026-02-26",
      endDate: "2026-03-01",
    });
    expect(daysOfMember({ case: "everything", days }, 71 * HOUR)).toEqual(days);
  });
});
