import type { CourierGroup } from "@sluice/api/control/v1/courier_group_pb";
import type { Kysely, Transaction } from "kysely";
import type { Schema } from "../database/schema.ts";
import type { Tenant } from "../tenant.ts";

/** Records what the group runs and refreshes, in place of what it did: none of it can be removed under it. */
export async function refer(
  trx: Transaction<Schema>,
  tenant: Tenant,
  id: string,
  { members, customDomainTableIds }: CourierGroup,
): Promise<void> {
  for (const table of ["courier_group_member", "courier_group_refresh"] as const) {
    await trx.deleteFrom(table).where("tenant", "=", tenant).where("group_id", "=", id).execute();
  }
  await trx
    .insertInto("courier_group_member")
    .values(members.map(({ courierId }) => ({ tenant, group_id: id, courier_id: courierId })))
    .execute();
  if (customDomainTableIds.length === 0) return;
  await trx
    .insertInto("courier_group_refresh")
    .values(
      customDomainTableIds.map((tableId) => ({ tenant, group_id: id, custom_table_id: tableId })),
    )
    .execute();
}

/** The names of the groups that refresh a custom domain table. */
export async function groupsThatRefresh(
  kysely: Kysely<Schema>,
  tenant: Tenant,
  customTableId: string,
): Promise<string[]> {
  const groups = await kysely
    .selectFrom("courier_group_refresh")
    .innerJoin("courier_group", (join) =>
      join
        .onRef("courier_group.tenant", "=", "courier_group_refresh.tenant")
        .onRef("courier_group.id", "=", "courier_group_refresh.group_id"),
    )
    .select("courier_group.name")
    .where("courier_group_refresh.tenant", "=", tenant)
    .where("courier_group_refresh.custom_table_id", "=", customTableId)
    .orderBy("courier_group.name_key")
    .execute();
  return groups.map(({ name }) => name);
}
