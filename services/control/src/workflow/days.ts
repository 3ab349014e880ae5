import type { DescMessage } from "@bufbuild/protobuf";
import {
  type Period,
  type RunCourierRequest,
  RunCourierRequestSchema,
} from "@sluice/api/control/v1/courier_service_pb";
import { refuseField } from "../server/field-violations.ts";

/** Ten years and a bit: beyond it a typing error is likelier than a wish. */
export const MAX_DAYS = 3_660;

const DAY_MS = 86_400_000;

/** Some consecutive days, `yyyy-mm-dd`: the first, and the day after the last. */
export interface Days {
  readonly startDate: string;
  readonly endDate: string;
}

/** Every day from `startDate` up to, but without, `endDate`. */
export function daysOf(startDate: string, endDate: string): string[] {
  const days: string[] = [];
  for (let day = startDate; day < endDate; day = nextDay(day)) days.push(day);
  return days;
}

/** Who asks for days, and where they are counted. */
export interface DaysAsked {
  readonly request?: DescMessage;
  /** Of the time zone database. */
  readonly timeZone?: string;
}

/**
 * The days a run is asked for. INVALID_ARGUMENT, with the field's name, for a day that is not in the
 * calendar, a period that is empty or too long, and a day that has not begun in the time zone: no file can
 * match it yet.
 */
export function daysOfRun(
  scope: RunCourierRequest["scope"],
  now: Date,
  { request = RunCourierRequestSchema, timeZone = "UTC" }: DaysAsked = {},
): Days {
  switch (scope.case) {
    case "date": {
      const day = checkedDay(request, "date", scope.value);
      refuseFuture(request, "date", day, { now, timeZone });
      return { startDate: day, endDate: nextDay(day) };
    }
    case "period":
      return periodOf(scope.value, request, now, { defaultDays: 1, maxDays: MAX_DAYS, timeZone });
    case "everything": {
      // Until the list tells for which days there are files.
      const today = dayIn(now, timeZone);
      return { startDate: today, endDate: nextDay(today) };
    }
    default:
      refuseField(request, "date", "scope_missing", "date, period or everything has to be set");
  }
}

/** The days of a request's field `period`; so many up to today when it is not set. Errors as of `daysOfRun`. */
export function periodOf(
  period: Period | undefined,
  request: DescMessage,
  now: Date,
  {
    defaultDays,
    maxDays,
    timeZone = "UTC",
  }: { readonly defaultDays: number; readonly maxDays: number; readonly timeZone?: string },
): Days {
  if (period === undefined) {
    const today = dayIn(now, timeZone);
    return { startDate: shifted(today, 1 - defaultDays), endDate: nextDay(today) };
  }
  const startDate = checkedDay(request, "period.start_date", period.startDate);
  const endDate = checkedDay(request, "period.end_date", period.endDate);
  if (startDate >= endDate) {
    const what = "has to be after period.start_date: it is the day after the last";
    refuseField(request, "period.end_date", "period_empty", what);
  }
  const days = (Date.parse(endDate) - Date.parse(startDate)) / DAY_MS;
  if (days > maxDays) {
    const what = `makes ${days} days; at most ${maxDays} are taken at once`;
    refuseField(request, "period.end_date", "period_too_long", what);
  }
  refuseFuture(request, "period.start_date", startDate, { now, timeZone });
  refuseFuture(request, "period.end_date", shifted(endDate, -1), { now, timeZone });
  return { startDate, endDate };
}

function checkedDay(request: DescMessage, field: string, text: string): string {
  const time = Date.parse(`${text}T00:00:00Z`);
  if (Number.isNaN(time) || new Date(time).toISOString().slice(0, 10) !== text) {
    const what = `${text} is not a day of the calendar, yyyy-mm-dd`;
    refuseField(request, field, "not_a_day", what);
  }
  return text;
}

function refuseFuture(
  request: DescMessage,
  field: string,
  lastDay: string,
  { now, timeZone }: { readonly now: Date; readonly timeZone: string },
): void {
  const today = dayIn(now, timeZone);
  if (lastDay > today) {
    const what = `${lastDay} is after today, ${today} in ${timeZone}: no file can match it yet`;
    refuseField(request, field, "in_the_future", what);
  }
}

/** The day of a moment, in a time zone of the database. */
export function dayIn(moment: Date, timeZone: string): string {
  const parts = new Intl.DateTimeFormat("en-US", {
    timeZone,
    calendar: "gregory",
    numberingSystem: "latn",
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
  }).formatToParts(moment);
  const part = (type: string): string => parts.find((each) => each.type === type)?.value ?? "";
  return `${part("year").padStart(4, "0")}-${part("month")}-${part("day")}`;
}

/** The day that follows. */
export function nextDay(day: string): string {
  return shifted(day, 1);
}

/** The day so many days later; earlier when it is negative. */
export function shifted(day: string, days: number): string {
  return new Date(Date.parse(day) + days * DAY_MS).toISOString().slice(0, 10);
}
