import type { DescMessage } from "@bufbuild/protobuf";
import type { CourierGroup } from "@sluice/api/control/v1/courier_group_pb";
import type { Kysely } from "kysely";
import type { Schema } from "../database/schema.ts";
import { type FieldFault, invalidRequest, toViolation } from "../server/field-violations.ts";
import type { Tenant } from "../tenant.ts";
import { toCronSchedule } from "./group-rows.ts";
import { fromRunType, runTypeFault } from "./run-type.ts";
import { scheduleFault } from "./schedule.ts";

/**
 * Throws INVALID_ARGUMENT naming every field of the request's `courier_group` that refers to nothing, or can't be
 * kept. Couriers and tables stay until the transaction ends.
 */
export async function assertGroup(
  request: DescMessage,
  group: CourierGroup,
  trx: Kysely<Schema>,
  tenant: Tenant,
  now: Date,
): Promise<void> {
  const faults = [
    ...scheduleFaults(group, now),
    ...(await memberFaults(group, trx, tenant)),
    ...(await tableFaults(group, trx, tenant)),
  ];
  if (faults.length > 0) throw invalidRequest(faults.map((fault) => toViolation(request, fault)));
}

function scheduleFaults(group: CourierGroup, now: Date): FieldFault[] {
  const { schedule } = group;
  if (schedule === undefined) return [];
  const fault = scheduleFault(toCronSchedule(schedule), now);
  const path = (field: string): string => `courier_group.schedule.${field}`;
  const typeFault = runTypeFault(fromRunType(schedule.runType), group);
  return [
    ...(fault === undefined
      ? []
      : [{ path: path(fault.field), rule: `schedule.${fault.field}`, message: fault.message }]),
    ...(typeFault === undefined ? [] : [{ path: path("run_type"), ...typeFault }]),
  ];
}

async function memberFaults(
  { members }: CourierGroup,
  trx: Kysely<Schema>,
  tenant: Tenant,
): Promise<FieldFault[]> {
  const ids = members.map((member) => member.courierId);
  const rows = await trx
    .selectFrom("courier")
    .select("id")
    .where("tenant", "=", tenant)
    .where("id", "in", ids)
    .forKeyShare()
    .execute();
  const known = new Set(rows.map((row) => row.id));
  return ids.flatMap((id, index) => {
    const path = `courier_group.members[${index}].courier_id`;
    if (!known.has(id)) return [{ path, rule: "member.unknown", message: "names no courier" }];
    if (ids.indexOf(id) < index) {
      return [
        { path, rule: "member.twice", message: "names a courier that is in the group already" },
      ];
    }
    return [];
  });
}

async function tableFaults(
  { customDomainTableIds: ids }: CourierGroup,
  trx: Kysely<Schema>,
  tenant: Tenant,
): Promise<FieldFault[]> {
  if (ids.length === 0) return [];
  const rows = await trx
    .selectFrom("custom_domain_table")
    .select("id")
    .where("tenant", "=", tenant)
    .where("id", "in", ids)
    .forKeyShare()
    .execute();
  const known = new Set(rows.map((row) => row.id));
  return ids.flatMap((id, index) => {
    const path = `courier_group.custom_domain_table_ids[${index}]`;
    if (!known.has(id)) {
      return [{ path, rule: "refresh.unknown", message: "names no custom domain table" }];
    }
    if (ids.indexOf(id) === index) return [];
    return [
      { path, rule: "refresh.twice", message: "names a table that the group refreshes already" },
    ];
  });
}
