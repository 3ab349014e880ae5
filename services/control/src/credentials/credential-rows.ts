import { clone, create, fromJson, toJsonString } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  type ConnectionStatus,
  ConnectionStatusSchema,
  type Credential,
  CredentialSchema,
} from "@sluice/api/control/v1/credential_pb";
import type { Kysely, Selectable } from "kysely";
import type { CredentialTable, Schema } from "../database/schema.ts";
import { notFound } from "../resources/resource-errors.ts";
import type { Tenant } from "../tenant.ts";
import type { PlatformIdentity } from "./platform-identity.ts";

export type CredentialRow = Selectable<CredentialTable>;

/** What a credential is made of. Its plugin follows from it. */
export type CredentialKind = Credential["kind"];

export function pluginOf(kind: CredentialKind): string {
  return kind.case === "pgp" ? "pgp" : "amazon-s3";
}

/** The row of a credential; NOT_FOUND when the tenant has none of this id. */
export async function readCredentialRow(
  kysely: Kysely<Schema>,
  tenant: Tenant,
  id: string,
  lock?: "for update",
): Promise<CredentialRow> {
  const row = await kysely
    .selectFrom("credential")
    .selectAll()
    .where("tenant", "=", tenant)
    .where("id", "=", id)
    .$if(lock !== undefined, (query) => query.forUpdate())
    .executeTakeFirst();
  if (row === undefined) {
    throw notFound("credential", id);
  }
  return row;
}

/** A credential as the API gives it: no secrets, and what the service makes filled in. */
export function toCredential(row: CredentialRow, identity: PlatformIdentity): Credential {
  const { kind } = fromJson(CredentialSchema, row.kind, { ignoreUnknownFields: true });
  if (kind.case === "iamRoleToRole") {
    kind.value.platformRoleArn = identity.platformRoleArn;
    kind.value.externalId = identity.externalId;
  }
  const status = toStatus(row);
  return create(CredentialSchema, {
    id: row.id,
    name: row.name,
    description: row.description,
    plugin: row.plugin,
    kind,
    ...(status === undefined ? {} : { lastStatus: status }),
    etag: row.etag,
    createTime: timestampFromDate(row.create_time),
    updateTime: timestampFromDate(row.update_time),
  });
}

/** How the last connection test ended; undefined before the first. */
export function toStatus(row: Pick<CredentialRow, "last_status">): ConnectionStatus | undefined {
  return row.last_status === null
    ? undefined
    : fromJson(ConnectionStatusSchema, row.last_status, { ignoreUnknownFields: true });
}

/** The secrets of a kind by the names of their proto fields; empty texts for those not given. */
export function secretsOf(kind: CredentialKind): Map<string, string> {
  switch (kind.case) {
    case "accessKey":
      return new Map([["secret_access_key", kind.value.secretAccessKey]]);
    case "pgp":
      return new Map([
        ["private_key_block", kind.value.privateKeyBlock],
        ["passphrase", kind.value.passphrase],
      ]);
    default:
      return new Map();
  }
}

/** The name of the kind's field in Credential, as masks and faults spell it. */
export function kindField(kind: CredentialKind): "iam_role_to_role" | "access_key" | "pgp" {
  switch (kind.case) {
    case "accessKey":
      return "access_key";
    case "pgp":
      return "pgp";
    default:
      return "iam_role_to_role";
  }
}

/** What is kept of a kind beside its secrets, without what the service makes for every tenant. */
export function kindToJson(kind: CredentialKind): string {
  const kept = clone(CredentialSchema, create(CredentialSchema, { kind }));
  switch (kept.kind.case) {
    case "iamRoleToRole":
      kept.kind.value.platformRoleArn = "";
      kept.kind.value.externalId = "";
      break;
    case "accessKey":
      kept.kind.value.secretAccessKey = "";
      break;
    case "pgp":
      kept.kind.value.privateKeyBlock = "";
      kept.kind.value.passphrase = "";
      break;
  }
  return toJsonString(CredentialSchema, kept);
}
