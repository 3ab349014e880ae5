import type { Kysely } from "kysely";
import type { Schema } from "../database/schema.ts";
import { toNameKey } from "../resources/identity.ts";
import type { FieldFault } from "../server/field-violations.ts";
import { selectCustomTables } from "../tables/custom-table-rows.ts";
import type { Tenant } from "../tenant.ts";
import { selectFeeds } from "./feed-rows.ts";

/** Why no feed of this source and name can be made; the fault is told at `<path>.name`. */
export async function feedNameFault(
  kysely: Kysely<Schema>,
  tenant: Tenant,
  { source, name }: { readonly source: string; readonly name: string },
  path: string,
): Promise<FieldFault | undefined> {
  const feed = await selectFeeds(kysely, tenant)
    .where("source.name_key", "=", toNameKey(source))
    .where("feed.name_key", "=", toNameKey(name))
    .executeTakeFirst();
  if (feed !== undefined) {
    const message = `there is a feed named ${JSON.stringify(feed.name)} in this source already: ${feed.id}`;
    return { path: `${path}.name`, rule: "feed.name_taken", message };
  }
  // Both are tables of one database.
  const table = await selectCustomTables(kysely, tenant)
    .where("source.name_key", "=", toNameKey(source))
    .where("custom_domain_table.name_key", "=", toNameKey(name))
    .executeTakeFirst();
  if (table === undefined) return undefined;
  const message = `there is a custom domain table named ${JSON.stringify(table.name)} in this source already`;
  return { path: `${path}.name`, rule: "feed.name_taken", message };
}
