import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  type Connection,
  ConnectionSchema,
  type PgpKeys,
  PgpKeysSchema,
} from "@sluice/api/ingest/v1/task_pb";
import type { SecretBox } from "../secrets/secret-box.ts";
import { openSecrets } from "../secrets/secret-store.ts";
import { readCredentialRow, toCredential } from "./credential-rows.ts";
import { type PlatformContext, platformIdentity } from "./platform-identity.ts";

/** What opening a credential needs. */
export interface CredentialAccessContext extends PlatformContext {
  readonly secrets: SecretBox;
}

/**
 * How a worker reaches the bucket of a credential, secrets included: give it to a worker, keep it
 * nowhere. NOT_FOUND when there is no such credential, FAILED_PRECONDITION when it opens no bucket.
 */
export async function connectionOf(
  context: CredentialAccessContext,
  credentialId: string,
): Promise<Connection> {
  const tenant = context.tenant();
  const row = await readCredentialRow(context.kysely, tenant, credentialId);
  const { kind } = toCredential(row, await platformIdentity(context));
  switch (kind.case) {
    case "iamRoleToRole": {
      const { bucket, region, endpoint, targetRoleArn, externalId, platformRoleArn } = kind.value;
      const sessionName = `sluice-${tenant}`.replace(/[^\w+=,.@-]/g, "-").slice(0, 64);
      return create(ConnectionSchema, {
        bucket,
        region,
        endpoint,
        access: {
          case: "role",
          value: { targetRoleArn, externalId, platformRoleArn, sessionName },
        },
      });
    }
    case "accessKey": {
      const { bucket, region, endpoint, accessKeyId } = kind.value;
      const secrets = await openSecrets(context.kysely, context.secrets, { tenant, credentialId });
      const secretAccessKey = secrets.get("secret_access_key") ?? "";
      return create(ConnectionSchema, {
        bucket,
        region,
        endpoint,
        access: { case: "key", value: { accessKeyId, secretAccessKey } },
      });
    }
    default:
      throw wrongKind(credentialId, "opens no bucket");
  }
}

/**
 * The secrets of a credential of plugin "pgp": give them to a worker, keep them nowhere. NOT_FOUND
 * when there is no such credential, FAILED_PRECONDITION when it is of another kind.
 */
export async function pgpKeysOf(
  context: CredentialAccessContext,
  credentialId: string,
): Promise<PgpKeys> {
  const tenant = context.tenant();
  const row = await readCredentialRow(context.kysely, tenant, credentialId);
  if (row.plugin !== "pgp") {
    throw wrongKind(credentialId, "holds no PGP keys");
  }
  const { kind } = toCredential(row, await platformIdentity(context));
  const secrets = await openSecrets(context.kysely, context.secrets, { tenant, credentialId });
  return create(PgpKeysSchema, {
    signerPublicKeys: kind.case === "pgp" ? kind.value.signerPublicKeys : [],
    privateKeyBlock: secrets.get("private_key_block") ?? "",
    passphrase: secrets.get("passphrase") ?? "",
  });
}

function wrongKind(credentialId: string, why: string): ConnectError {
  return new ConnectError(
    `credential ${JSON.stringify(credentialId)} ${why}`,
    Code.FailedPrecondition,
  );
}
