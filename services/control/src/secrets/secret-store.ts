import type { Kysely } from "kysely";
import { sql } from "kysely";
import type { Schema } from "../database/schema.ts";
import type { SecretBox } from "./secret-box.ts";

/** Whose secret. */
export interface SecretOwner {
  readonly tenant: string;
  readonly credentialId: string;
}

/** Keeps a secret in place of the one of the same name; an empty text removes it. */
export async function putSecret(
  kysely: Kysely<Schema>,
  box: SecretBox,
  owner: SecretOwner,
  name: string,
  secret: string,
): Promise<void> {
  const { tenant, credentialId } = owner;
  const old = await kysely
    .selectFrom("secret")
    .select("version")
    .where("tenant", "=", tenant)
    .where("credential_id", "=", credentialId)
    .where("name", "=", name)
    .forUpdate()
    .executeTakeFirst();
  if (secret === "") {
    await kysely
      .deleteFrom("secret")
      .where("tenant", "=", tenant)
      .where("credential_id", "=", credentialId)
      .where("name", "=", name)
      .execute();
    return;
  }
  const version = (old?.version ?? 0) + 1;
  const sealed = box.seal({ tenant, credentialId, name, version }, Buffer.from(secret, "utf8"));
  await kysely
    .insertInto("secret")
    .values({
      tenant,
      credential_id: credentialId,
      name,
      version,
      key_id: sealed.keyId,
      wrapped_key: sealed.wrappedKey,
      sealed: sealed.sealed,
    })
    .onConflict((conflict) =>
      conflict.columns(["tenant", "credential_id", "name"]).doUpdateSet({
        version: sql`excluded.version`,
        key_id: sql`excluded.key_id`,
        wrapped_key: sql`excluded.wrapped_key`,
        sealed: sql`excluded.sealed`,
      }),
    )
    .execute();
}

/** The opened secrets of a credential by name. Keep them for as long as a call takes, no longer. */
export async function openSecrets(
  kysely: Kysely<Schema>,
  box: SecretBox,
  owner: SecretOwner,
): Promise<Map<string, string>> {
  const { tenant, credentialId } = owner;
  const rows = await kysely
    .selectFrom("secret")
    .selectAll()
    .where("tenant", "=", tenant)
    .where("credential_id", "=", credentialId)
    .execute();
  const secrets = new Map<string, string>();
  for (const row of rows) {
    const place = { tenant, credentialId, name: row.name, version: row.version };
    const plain = box.open(place, {
      keyId: row.key_id,
      wrappedKey: row.wrapped_key,
      sealed: row.sealed,
    });
    secrets.set(row.name, plain.toString("utf8"));
    plain.fill(0);
  }
  return secrets;
}
