import {
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
export function daysOfRun(scope: RunCourierRequest["scope"], now: Date): Days {
  switch (scope.case) {
    case "date": {
      const day = checkedDay("date", scope.value);
      refuseFuture("date", day, now);
      return { startDate: day, endDate: nextDay(day) };
    }
    case "period": {
      const startDate = checkedDay("period.start_date", scope.value.startDate);
      const endDate = checkedDay("period.end_date", scope.value.endDate);
      if (startDate >= endDate) {
        refuse(
          "period.end_date",
          "period_empty",
          "has to be after period.start_date: it is the day after the last",
        );
      }
      const days = (Date.parse(endDate) - Date.parse(startDate)) / DAY_MS;
      if (days > MAX_DAYS) {
        refuse(
          "period.end_date",
          "period_too_long",
          `makes ${days} days; at most ${MAX_DAYS} are run at once`,
        );
      }
      refuseFuture("period.start_date", startDate, now);
      refuseFuture("period.end_date", previousDay(endDate), now);
      return { startDate, endDate };
    }
    case "everything": {
      // Until the list tells for which days there are files.
      const today = now.toISOString().slice(0, 10);
      return { startDate: today, endDate: nextDay(today) };
    }
    default:
      refuse("date", "scope_missing", "date, period or everything has to be set");
  }
}

function checkedDay(field: string, text: string): string {
  const time = Date.parse(`${text}T00:00:00Z`);
  if (Number.isNaN(time) || new Date(time).toISOString().slice(0, 10) !== text) {
    refuse(field, "not_a_day", `${text} is not a day of the calendar, yyyy-mm-dd`);
  }
  return text;
}

function refuseFuture(field: string, lastDay: string, now: Date): void {
  const today = now.toISOString().slice(0, 10);
  if (lastDay > today) {
    refuse(
      field,
      "in_the_future",
      `${lastDay} is after today, ${today} in UTC: no file can match it yet`,
    );
  }
}

/** The day that follows. */
export function nextDay(day: string): string {
  return new Date(Date.parse(day) + DAY_MS).toISOString().slice(0, 10);
}

function previousDay(day: string): string {
  return new Date(Date.parse(day) - DAY_MS).toISOString().slice(0, 10);
}

function refuse(field: string, rule: string, what: string): never {
  refuseField(RunCourierRequestSchema, field, rule, what);
}
