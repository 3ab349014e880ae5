import {
  type RunCourierGroupRequest,
  RunCourierGroupRequestSchema,
} from "@sluice/api/control/v1/courier_group_service_pb";
import { type Days, daysOfRun } from "../workflow/days.ts";
import { daysSince, type RunMoment, shiftedDays } from "./run-days.ts";

/** For which days the couriers of a run try their patterns. */
export type RunScope =
  /** Those that follow from when it runs, and when it ran before. */
  | { readonly case: "moment"; readonly moment: RunMoment }
  /** Those that somebody named. */
  | { readonly case: "days"; readonly days: Days }
  /** Every day; `days` is today, until the lists tell for which days there are files. */
  | { readonly case: "everything"; readonly days: Days };

/**
 * The scope that a request names; undefined when it names none. INVALID_ARGUMENT, with the field's name, for days that
 * can't be run: not in the calendar, an empty period or one that is too long, a day that has not begun in the zone.
 */
export function namedScope(
  { scope }: Pick<RunCourierGroupRequest, "scope">,
  timeZone: string,
  now: Date,
): RunScope | undefined {
  if (scope.case === undefined) return undefined;
  const days = daysOfRun(scope, now, { request: RunCourierGroupRequestSchema, timeZone });
  return { case: scope.case === "everything" ? "everything" : "days", days };
}

/** The days of a courier with such an offset. Of days that were named, hours of an offset move none; of everything, nothing does. */
export function daysOfMember(scope: RunScope, offsetMs: number): Days {
  switch (scope.case) {
    case "moment":
      return daysSince(scope.moment, offsetMs);
    case "days":
      return shiftedDays(scope.days, offsetMs);
    case "everything":
      return scope.days;
  }
}
