import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { type ApiKey, ApiKeySchema, Role } from "@sluice/api/control/v1/access_pb";
import { type Kysely, type Selectable, sql } from "kysely";
import type { ApiKeyTable, Schema } from "../database/schema.ts";
import { makeId } from "../resources/identity.ts";
import type { Tenant } from "../tenant.ts";
import { hashSecret, type ParsedKey } from "./api-key.ts";
import type { RoleName } from "./caller.ts";

export type ApiKeyRow = Selectable<ApiKeyTable>;

const ROLE_OF: Readonly<Record<RoleName, Role>> = {
  viewer: Role.VIEWER,
  operator: Role.OPERATOR,
  admin: Role.ADMIN,
};

export function toRole(name: RoleName | ""): Role {
  return name === "" ? Role.UNSPECIFIED : ROLE_OF[name];
}

export function roleName(role: Role): RoleName | undefined {
  return (Object.keys(ROLE_OF) as RoleName[]).find((name) => ROLE_OF[name] === role);
}

/** Keeps a new key; gives its row, or undefined when there is a key of this prefix already. */
export async function insertApiKey(
  kysely: Kysely<Schema>,
  tenant: Tenant,
  key: ParsedKey,
  about: { readonly name: string; readonly role: RoleName; readonly expireTime: Date | null },
): Promise<ApiKeyRow | undefined> {
  return await kysely
    .insertInto("api_key")
    .values({
      tenant,
      id: makeId("key"),
      name: about.name,
      role: about.role,
      prefix: key.prefix,
      hash: hashSecret(key.secret),
      expire_time: about.expireTime,
    })
    .onConflict((conflict) => conflict.column("prefix").doNothing())
    .returningAll()
    .executeTakeFirst();
}

/** Whether somebody can get in as an admin. */
export async function hasLiveAdminKey(kysely: Kysely<Schema>, tenant: Tenant): Promise<boolean> {
  const row = await kysely
    .selectFrom("api_key")
    .select("id")
    .where("tenant", "=", tenant)
    .where("role", "=", "admin")
    .where("revoke_time", "is", null)
    .where((where) =>
      where.or([where("expire_time", "is", null), where("expire_time", ">", sql<Date>`now()`)]),
    )
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

/** As callers see it: never with anything of the secret. */
export function toApiKey(row: ApiKeyRow): ApiKey {
  return create(ApiKeySchema, {
    id: row.id,
    name: row.name,
    role: toRole(row.role),
    prefix: row.prefix,
    createTime: timestampFromDate(row.create_time),
    ...(row.expire_time === null ? {} : { expireTime: timestampFromDate(row.expire_time) }),
    ...(row.last_use_time === null ? {} : { lastUseTime: timestampFromDate(row.last_use_time) }),
    ...(row.revoke_time === null ? {} : { revokeTime: timestampFromDate(row.revoke_time) }),
  });
}
