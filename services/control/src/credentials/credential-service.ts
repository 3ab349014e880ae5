import { clone, toBinary, toJsonString } from "@bufbuild/protobuf";
import { Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import {
  ConnectionStatusSchema,
  type Credential,
  CredentialSchema,
} from "@sluice/api/control/v1/credential_pb";
import {
  type CreateCredentialRequest,
  CreateCredentialRequestSchema,
  type CredentialService,
  type DeleteCredentialRequest,
  type ListCredentialsRequest,
  type UpdateCredentialRequest,
  UpdateCredentialRequestSchema,
} from "@sluice/api/control/v1/credential_service_pb";
import { sql, type Transaction } from "kysely";
import type { ControlContext } from "../context.ts";
import type { Schema } from "../database/schema.ts";
import { makeEtag, makeId, toNameKey } from "../resources/identity.ts";
import { toPage } from "../resources/page.ts";
import { findMade, makeOnce } from "../resources/request-id.ts";
import { assertEtag, inUse, isViolationOf, nameTaken } from "../resources/resource-errors.ts";
import { applyMask, isMasked } from "../resources/update-mask.ts";
import { openSecrets, putSecret } from "../secrets/secret-store.ts";
import { invalidRequest, refuseField, violationsBelow } from "../server/field-violations.ts";
import { testConnection } from "./connection-test.ts";
import { assertCredentialKind } from "./credential-checks.ts";
import {
  type CredentialKind,
  type CredentialRow,
  kindField,
  kindToJson,
  pluginOf,
  readCredentialRow,
  secretsOf,
  toCredential,
} from "./credential-rows.ts";
import { listCredentialTypes } from "./credential-types.ts";
import { platformIdentity, renderTrustPolicy } from "./platform-identity.ts";

const READ_ONLY = [
  "iam_role_to_role.platform_role_arn",
  "iam_role_to_role.external_id",
  "pgp.fingerprints",
  "pgp.key_ids",
];
const WRITABLE = ["name", "description", "iam_role_to_role", "access_key", "pgp"];

/** Credentials: what opens customers' buckets and files. */
export function createCredentialService(
  context: ControlContext,
): ServiceImpl<typeof CredentialService> {
  const { kysely } = context;
  const answer = async (row: CredentialRow): Promise<{ credential: Credential }> => ({
    credential: toCredential(row, await platformIdentity(context)),
  });
  const read = (id: string): Promise<CredentialRow> =>
    readCredentialRow(kysely, context.tenant(), id);

  return {
    createCredential: async (request) => answer(await read(await create(context, request))),
    getCredential: async ({ id }) => answer(await read(id)),
    listCredentials: (request) => list(context, request),
    updateCredential: async (request) => {
      const id = await updateCredential(context, request);
      return answer(await read(id));
    },
    deleteCredential: async (request) => {
      await remove(context, request);
      return {};
    },
    testCredential: async ({ id }) => {
      const row = await read(id);
      const status = await testConnection(context, row);
      // Not a change in the sense of the etag: a test must not make an editor's update fail.
      await kysely
        .updateTable("credential")
        .set({ last_status: toJsonString(ConnectionStatusSchema, status) })
        .where("tenant", "=", context.tenant())
        .where("id", "=", id)
        .where("etag", "=", row.etag)
        .execute();
      return { status };
    },
    getTrustPolicy: async ({ credentialId }) => {
      if (credentialId !== "") {
        const { credential } = await answer(await read(credentialId));
        if (credential.kind.case !== "iamRoleToRole") {
          throw new ConnectError(
            "credential_id: only a credential of kind iam_role_to_role has a trust policy",
            Code.FailedPrecondition,
          );
        }
      }
      const identity = await platformIdentity(context);
      return { policyJson: renderTrustPolicy(identity), ...identity };
    },
    listCredentialTypes: async ({ plugin }) => ({
      credentialTypes: listCredentialTypes(plugin, await platformIdentity(context)),
    }),
    getPlatformIdentity: () => platformIdentity(context),
  };
}

async function create(context: ControlContext, request: CreateCredentialRequest): Promise<string> {
  const credential = required(request.credential);
  const call = {
    method: "CreateCredential",
    requestId: request.requestId,
    body: toBinary(CreateCredentialRequestSchema, { ...request, requestId: "" }),
  };
  const made = await findMade(context, call);
  if (made !== undefined) {
    return made;
  }
  const secrets = secretsOf(credential.kind);
  assertCredentialKind(credential.kind, {
    request: CreateCredentialRequestSchema,
    allowedEndpoints: context.allowedEndpoints,
    secretNames: namesOf(secrets),
  });
  const kind = await withInspectedKeys(context, credential.kind, secrets);
  const tenant = context.tenant();
  return await makeOnce(context, call, makeId("cred"), async (transaction, id) => {
    await named(credential.name, () =>
      transaction
        .insertInto("credential")
        .values({
          tenant,
          id,
          name: credential.name,
          name_key: toNameKey(credential.name),
          description: credential.description,
          plugin: pluginOf(kind),
          kind: kindToJson(kind),
          etag: makeEtag(),
        })
        .execute(),
    );
    for (const [name, secret] of secrets) {
      await putSecret(transaction, context.secrets, { tenant, credentialId: id }, name, secret);
    }
    await alertOfSharedRole(context, transaction, tenant, kind);
  });
}

/**
 * A role that two tenants name is a customer of both, or one of them tries the other's. AWS refuses the wrong one by
 * the external id; the operator is told, and the caller learns nothing of other tenants.
 */
async function alertOfSharedRole(
  context: ControlContext,
  transaction: Transaction<Schema>,
  tenant: string,
  kind: CredentialKind,
): Promise<void> {
  if (kind.case !== "iamRoleToRole") return;
  const role = kind.value.targetRoleArn;
  const others = await transaction
    .selectFrom("credential")
    .select(["tenant", "id"])
    .where("tenant", "!=", tenant)
    .where(sql`kind->'iamRoleToRole'->>'targetRoleArn'`, "=", role)
    .limit(10)
    .execute();
  if (others.length === 0) return;
  context.log.warn({ tenant, role, others }, "another tenant has a credential for this role");
}

async function list(
  context: ControlContext,
  request: ListCredentialsRequest,
): Promise<{ credentials: Credential[]; nextPageToken: string }> {
  const page = toPage(request, ["credentials", request.plugin]);
  const rows = await context.kysely
    .selectFrom("credential")
    .selectAll()
    .where("tenant", "=", context.tenant())
    .$if(request.plugin !== "", (query) => query.where("plugin", "=", request.plugin))
    .$if(page.after !== undefined, (query) => query.where("name_key", ">", page.after?.[0] ?? ""))
    .orderBy("name_key")
    .limit(page.size + 1)
    .execute();
  const { rows: shown, nextPageToken } = page.cut(rows, (row) => [row.name_key]);
  const identity = await platformIdentity(context);
  return { credentials: shown.map((row) => toCredential(row, identity)), nextPageToken };
}

/** Changes a credential, and gives its id. */
export async function updateCredential(
  context: ControlContext,
  request: UpdateCredentialRequest,
): Promise<string> {
  const asked = required(request.credential);
  const tenant = context.tenant();
  const row = await readCredentialRow(context.kysely, tenant, asked.id);
  assertEtag("credential", asked.etag, row.etag);
  const current = toCredential(row, await platformIdentity(context));
  const changed = clone(CredentialSchema, current);
  const paths = applyMask(CredentialSchema, changed, asked, request.updateMask?.paths ?? [], {
    request: UpdateCredentialRequestSchema,
    writable: WRITABLE,
    readOnly: READ_ONLY,
  });
  assertSameKind(current.kind, changed.kind);

  const owner = { tenant, credentialId: row.id };
  const newSecrets = changedSecrets(asked.kind, paths);
  const secrets = await openSecrets(context.kysely, context.secrets, owner);
  for (const [name, secret] of newSecrets) {
    secrets.set(name, secret);
  }
  const violations = violationsBelow(
    UpdateCredentialRequestSchema,
    "credential",
    CredentialSchema,
    changed,
  );
  if (violations.length > 0) {
    throw invalidRequest(violations);
  }
  assertCredentialKind(changed.kind, {
    request: UpdateCredentialRequestSchema,
    allowedEndpoints: context.allowedEndpoints,
    secretNames: namesOf(secrets),
  });
  const kind =
    newSecrets.size > 0
      ? await withInspectedKeys(context, changed.kind, secrets)
      : withKeysOf(changed.kind, current.kind);
  const kindJson = kindToJson(kind);
  const isOtherConnection = newSecrets.size > 0 || kindJson !== kindToJson(current.kind);

  await context.kysely.transaction().execute(async (transaction) => {
    const locked = await readCredentialRow(transaction, tenant, row.id, "for update");
    // Workers were asked in between: what was checked has to be what is written.
    assertEtag("credential", row.etag, locked.etag);
    await named(changed.name, () =>
      transaction
        .updateTable("credential")
        .set({
          name: changed.name,
          name_key: toNameKey(changed.name),
          description: changed.description,
          kind: kindJson,
          etag: makeEtag(),
          update_time: new Date(),
          // How another connection ended says nothing about this one.
          ...(isOtherConnection ? { last_status: null } : {}),
        })
        .where("tenant", "=", tenant)
        .where("id", "=", row.id)
        .execute(),
    );
    for (const [name, secret] of newSecrets) {
      await putSecret(transaction, context.secrets, owner, name, secret);
    }
    await alertOfSharedRole(context, transaction, owner.tenant, kind);
  });
  return row.id;
}

async function remove(context: ControlContext, request: DeleteCredentialRequest): Promise<void> {
  const tenant = context.tenant();
  try {
    await context.kysely.transaction().execute(async (transaction) => {
      const row = await readCredentialRow(transaction, tenant, request.id, "for update");
      assertEtag("credential", request.etag, row.etag);
      await transaction
        .deleteFrom("credential")
        .where("tenant", "=", tenant)
        .where("id", "=", request.id)
        .execute();
    });
  } catch (error) {
    if (!isViolationOf(error, "courier_credential_credential")) {
      throw error;
    }
    const couriers = await context.kysely
      .selectFrom("courier_credential")
      .innerJoin("courier", (join) =>
        join
          .onRef("courier.tenant", "=", "courier_credential.tenant")
          .onRef("courier.id", "=", "courier_credential.courier_id"),
      )
      .select("courier.name")
      .where("courier_credential.tenant", "=", tenant)
      .where("courier_credential.credential_id", "=", request.id)
      .orderBy("courier.name_key")
      .limit(5)
      .execute();
    throw inUse(
      "credential",
      request.id,
      couriers.map((courier) => `courier ${courier.name}`),
    );
  }
}

/**
 * The secrets that an update changes. One that is named is changed, to nothing when it is empty. One
 * that only stands below what is named is changed when it is given: readers never see secrets, so
 * somebody who read a credential and sends it back would otherwise erase them.
 */
function changedSecrets(kind: CredentialKind, paths: readonly string[]): Map<string, string> {
  const changed = new Map<string, string>();
  for (const [name, secret] of secretsOf(kind)) {
    const field = `${kindField(kind)}.${name}`;
    if (paths.includes(field) || (secret !== "" && isMasked(paths, field))) {
      changed.set(name, secret);
    }
  }
  return changed;
}

function assertSameKind(current: CredentialKind, changed: CredentialKind): void {
  if (changed.case !== undefined && changed.case !== current.case) {
    refuseField(
      UpdateCredentialRequestSchema,
      `credential.${kindField(changed)}`,
      "credential.kind_fixed",
      `the credential is of kind ${kindField(current)}, and stays so`,
    );
  }
}

/** The kind with what a worker found its private keys to be; keys that don't open are refused. */
async function withInspectedKeys(
  context: ControlContext,
  kind: CredentialKind,
  secrets: ReadonlyMap<string, string>,
): Promise<CredentialKind> {
  if (kind.case !== "pgp") {
    return kind;
  }
  const privateKeyBlock = secrets.get("private_key_block") ?? "";
  const { signerPublicKeys } = kind.value;
  if (privateKeyBlock === "" && signerPublicKeys.length === 0) {
    return { case: "pgp", value: { ...kind.value, fingerprints: [], keyIds: [] } };
  }
  const passphrase = secrets.get("passphrase") ?? "";
  const keys = { privateKeyBlock, passphrase, signerPublicKeys };
  const { fingerprints, keyIds } = await context.inspect.call((client, options) =>
    client.inspectPgpKeys({ keys }, options),
  );
  return { case: "pgp", value: { ...kind.value, fingerprints, keyIds } };
}

/** The kind with the keys' names as they were: callers don't write them. */
function withKeysOf(kind: CredentialKind, current: CredentialKind): CredentialKind {
  if (kind.case !== "pgp" || current.case !== "pgp") {
    return kind;
  }
  const { fingerprints, keyIds } = current.value;
  return { case: "pgp", value: { ...kind.value, fingerprints, keyIds } };
}

/** Runs a write that may meet another credential of the same name. */
async function named(name: string, write: () => Promise<unknown>): Promise<void> {
  try {
    await write();
  } catch (error) {
    throw isViolationOf(error, "credential_name_taken") ? nameTaken("credential", name) : error;
  }
}

function namesOf(secrets: ReadonlyMap<string, string>): Set<string> {
  return new Set([...secrets].filter(([, secret]) => secret !== "").map(([name]) => name));
}

/** Requests are validated before they come here. */
function required(credential: Credential | undefined): Credential {
  if (credential === undefined) {
    throw new Error("a request came through without its credential");
  }
  return credential;
}
