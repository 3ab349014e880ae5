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

/**
 * The days a run is asked for. INVALID_ARGUMENT, with the field's name, for a day that is not in the
 * calendar, a period that is empty or too long, and a day that has not begun in UTC: no file can
 * match it yet.
 */
export function daysOfRun(
  scope: RunCourierRequest["scope"],
  now: Date,
  request: DescMessage = RunCourierRequestSchema,
): Days {
  switch (scope.case) {
    case "date": {
      const day = checkedDay(request, "date", scope.value);
      refuseFuture(request, "date", day, now);
      return { startDate: day, endDate: nextDay(day) };
    }
    case "period":
      return periodOf(scope.value, request, now, { defaultDays: 1, maxDays: MAX_DAYS });
    case "everything": {
      // Until the list tells for which days there are files.
      const today = dayOf(now);
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
  { defaultDays, maxDays }: { readonly defaultDays: number; readonly maxDays: number },
): Days {
  if (period === undefined) {
    const startDate = dayOf(new Date(now.getTime() - (defaultDays - 1) * DAY_MS));
    return { startDate, endDate: nextDay(dayOf(now)) };
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
  refuseFuture(request, "period.start_date", startDate, now);
  refuseFuture(request, "period.end_date", previousDay(endDate), now);
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

function refuseFuture(request: DescMessage, field: string, lastDay: string, now: Date): void {
  const today = dayOf(now);
  if (lastDay > today) {
    const what = `${lastDay} is after today, ${today} in UTC: no file can match it yet`;
    refuseField(request, field, "in_the_future", what);
  }
}

/** The day of a moment, in UTC. */
function dayOf(moment: Date): string {
  return moment.toISOString().slice(0, 10);
}

/** The day that follows. */
export function nextDay(day: string): string {
  return new Date(Date.parse(day) + DAY_MS).toISOString().slice(0, 10);
}

function previousDay(day: string): string {
  return new Date(Date.parse(day) - DAY_MS).toISOString().slice(0, 10);
}
