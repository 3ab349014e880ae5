import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { type Source, SourceSchema } from "@sluice/api/control/v1/source_pb";
import type { Kysely, Selectable } from "kysely";
import type { Schema, SourceTable } from "../database/schema.ts";
import { makeEtag, makeId, toNameKey } from "../resources/identity.ts";
import { nameTaken, notFound } from "../resources/resource-errors.ts";
import type { Tenant } from "../tenant.ts";

export type SourceRow = Selectable<SourceTable>;

export function toSource(row: SourceRow): Source {
  return create(SourceSchema, {
    id: row.id,
    name: row.name,
    etag: row.etag,
    createTime: timestampFromDate(row.create_time),
    updateTime: timestampFromDate(row.update_time),
  });
}

/** The row of a source; NOT_FOUND when the tenant has none of this id. */
export async function readSourceRow(
  kysely: Kysely<Schema>,
  tenant: Tenant,
  id: string,
): Promise<SourceRow> {
  const row = await kysely
    .selectFrom("source")
    .selectAll()
    .where("tenant", "=", tenant)
    .where("id", "=", id)
    .executeTakeFirst();
  if (row === undefined) {
    throw notFound("source", id);
  }
  return row;
}

/**
 * Keeps the database of ClickHouse that a source's tables are in for one tenant. ALREADY_EXISTS when it is another's:
 * all tenants share one ClickHouse, and nobody's rows may land in somebody else's table.
 */
export async function claimDatabase(
  kysely: Kysely<Schema>,
  tenant: Tenant,
  name: string,
): Promise<void> {
  await kysely
    .insertInto("warehouse_database")
    .values({ tenant, name_key: toNameKey(name) })
    .onConflict((conflict) => conflict.column("name_key").doNothing())
    .execute();
  const { tenant: owner } = await kysely
    .selectFrom("warehouse_database")
    .select("tenant")
    .where("name_key", "=", toNameKey(name))
    .executeTakeFirstOrThrow();
  if (owner !== tenant) throw nameTaken("source", name);
}

/** The id of the source of this name, whatever its case; made when there is none. */
export async function ensureSource(
  kysely: Kysely<Schema>,
  tenant: Tenant,
  name: string,
): Promise<string> {
  const key = toNameKey(name);
  await claimDatabase(kysely, tenant, name);
  await kysely
    .insertInto("source")
    .values({ tenant, id: makeId("src"), name, name_key: key, etag: makeEtag() })
    .onConflict((conflict) => conflict.constraint("source_name_taken").doNothing())
    .execute();
  const row = await kysely
    .selectFrom("source")
    .select("id")
    .where("tenant", "=", tenant)
    .where("name_key", "=", key)
    // Keeps somebody else from removing it until the feed is there.
    .forUpdate()
    .executeTakeFirstOrThrow();
  return row.id;
}
