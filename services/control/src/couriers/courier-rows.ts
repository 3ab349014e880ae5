import { create, fromJson, toJsonString } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { type Courier, CourierSchema } from "@sluice/api/control/v1/courier_pb";
import type { Kysely, Selectable, SelectQueryBuilder } from "kysely";
import { toStatus } from "../credentials/credential-rows.ts";
import type { CourierTable, CredentialTable, Schema } from "../database/schema.ts";
import { notFound } from "../resources/resource-errors.ts";
import type { Tenant } from "../tenant.ts";
import { partsOf, pgpCredentialsOf } from "./courier-files.ts";

/** A courier with how its credential's last test ended. */
export type CourierRow = Selectable<CourierTable> & {
  readonly last_status: Selectable<CredentialTable>["last_status"];
};

/** Selects couriers as rows of that shape. */
export function selectCouriers(
  kysely: Kysely<Schema>,
  tenant: Tenant,
): SelectQueryBuilder<Schema, "courier" | "credential", CourierRow> {
  return kysely
    .selectFrom("courier")
    .innerJoin("credential", (join) =>
      join
        .onRef("credential.tenant", "=", "courier.tenant")
        .onRef("credential.id", "=", "courier.credential_id"),
    )
    .where("courier.tenant", "=", tenant)
    .selectAll("courier")
    .select("credential.last_status");
}

/** A courier as the API gives it; NOT_FOUND when the tenant has none of this id. */
export async function readCourier(
  kysely: Kysely<Schema>,
  tenant: Tenant,
  id: string,
): Promise<Courier> {
  const row = await selectCouriers(kysely, tenant).where("courier.id", "=", id).executeTakeFirst();
  if (row === undefined) {
    throw notFound("courier", id);
  }
  return toCourier(row);
}

export function toCourier(row: CourierRow): Courier {
  const { prefix, files, loads } = fromJson(CourierSchema, row.spec, { ignoreUnknownFields: true });
  const status = toStatus(row);
  return create(CourierSchema, {
    id: row.id,
    name: row.name,
    credentialId: row.credential_id,
    prefix,
    files,
    loads,
    ...(status === undefined ? {} : { connectionStatus: status }),
    etag: row.etag,
    createTime: timestampFromDate(row.create_time),
    updateTime: timestampFromDate(row.update_time),
  });
}

/** What is kept of a courier beside its columns. */
export function courierToJson({ prefix, files, loads }: Courier): string {
  return toJsonString(CourierSchema, create(CourierSchema, { prefix, files, loads }));
}

/** The credentials that a courier needs: the bucket's, and those of encrypted files. Each once. */
export function credentialsOf(courier: Courier): string[] {
  const ids = [courier.credentialId, ...pgpCredentialsOf(partsOf(courier))];
  return [...new Set(ids)].filter((id) => id !== "");
}
