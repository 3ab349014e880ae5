import { create, fromJson, toJsonString } from "@bufbuild/protobuf";
import { durationMs, timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  type CourierGroup,
  CourierGroupSchema,
  type Schedule,
} from "@sluice/api/control/v1/courier_group_pb";
import type { Kysely, Selectable } from "kysely";
import type { CourierGroupTable, Schema } from "../database/schema.ts";
import { notFound } from "../resources/resource-errors.ts";
import type { Tenant } from "../tenant.ts";
import type { CronSchedule } from "./schedule.ts";

export type GroupRow = Selectable<CourierGroupTable>;

/** A group's row; NOT_FOUND when the tenant has none of this id. Locked when asked for. */
export async function readGroupRow(
  kysely: Kysely<Schema>,
  tenant: Tenant,
  id: string,
  options: { readonly lock?: boolean } = {},
): Promise<GroupRow> {
  const row = await kysely
    .selectFrom("courier_group")
    .selectAll()
    .where("tenant", "=", tenant)
    .where("id", "=", id)
    .$if(options.lock === true, (query) => query.forUpdate())
    .executeTakeFirst();
  if (row === undefined) throw notFound("courier group", id);
  return row;
}

/** A group as the API gives it. */
export function toGroup(row: GroupRow): CourierGroup {
  const spec = fromJson(CourierGroupSchema, row.spec, { ignoreUnknownFields: true });
  return create(CourierGroupSchema, {
    ...spec,
    id: row.id,
    name: row.name,
    etag: row.etag,
    createTime: timestampFromDate(row.create_time),
    updateTime: timestampFromDate(row.update_time),
    ...(row.next_fire_time === null ? {} : { nextFireTime: timestampFromDate(row.next_fire_time) }),
  });
}

/** What is kept of a group beside its columns. */
export function groupToJson({
  schedule,
  members,
  runtimeAlert,
  onlyPastDay,
  customDomainTableIds,
}: CourierGroup): string {
  return toJsonString(
    CourierGroupSchema,
    create(CourierGroupSchema, {
      members,
      onlyPastDay,
      customDomainTableIds,
      ...(schedule === undefined ? {} : { schedule }),
      ...(runtimeAlert === undefined ? {} : { runtimeAlert }),
    }),
  );
}

export function toCronSchedule({ cron, timeZone }: Schedule): CronSchedule {
  return { cron, timeZone: timeZone === "" ? "UTC" : timeZone };
}

/** The zone in which a group's days are counted. */
export function timeZoneOf({ schedule }: CourierGroup): string {
  return schedule === undefined ? "UTC" : toCronSchedule(schedule).timeZone;
}

/** A duration in milliseconds; one that is not set is none. */
export function toMs(duration: Parameters<typeof durationMs>[0] | undefined): number {
  return duration === undefined ? 0 : durationMs(duration);
}
