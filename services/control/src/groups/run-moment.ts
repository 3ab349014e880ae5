import type { CourierGroup } from "@sluice/api/control/v1/courier_group_pb";
import { timeZoneOf, toCronSchedule } from "./group-rows.ts";
import { isLessThanDaily, type RunMoment } from "./run-days.ts";
import { previousFire } from "./schedule.ts";

/**
 * What decides which days a run looks at that begins now, or at the time the schedule named. A group that never ran by its
 * schedule looks back to the time at which it would have.
 */
export function momentOf(group: CourierGroup, at: Date, lastFireTime: Date | null): RunMoment {
  const { schedule, onlyPastDay } = group;
  const timeZone = timeZoneOf(group);
  const previous = schedule === undefined ? undefined : previousFire(toCronSchedule(schedule), at);
  return {
    at,
    before: lastFireTime ?? previous,
    timeZone,
    onlyPastDay,
    isAnyDayEnough: isLessThanDaily(at, previous, timeZone),
  };
}
