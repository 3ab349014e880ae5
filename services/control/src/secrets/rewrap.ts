import { type Kysely, sql } from "kysely";
import type { Logger } from "pino";
import type { Schema } from "../database/schema.ts";
import { placeOfWebhook } from "../notifications/webhook-rows.ts";
import type { SecretBox } from "./secret-box.ts";

const PAGE = 200;

/**
 * Wraps every data key that another master key wraps by the one that seals now; the secrets themselves stay as they
 * are. Each row is a step of its own that can be repeated: an end in between is made good by the next start. A row that
 * is changed meanwhile was sealed by a replica, and is looked at again. Gives how many rows were changed.
 */
export async function rewrapSecrets(
  kysely: Kysely<Schema>,
  box: SecretBox,
  log: Logger,
): Promise<number> {
  let count = 0;
  for (;;) {
    const rows = await kysely
      .selectFrom("secret")
      .selectAll()
      .where("key_id", "!=", box.keyId)
      .limit(PAGE)
      .execute();
    for (const row of rows) {
      const { tenant, name, version } = row;
      const place = { tenant, credentialId: row.credential_id, name, version };
      const { keyId, wrappedKey } = box.rewrap(place, toSealed(row));
      await kysely
        .updateTable("secret")
        .set({ key_id: keyId, wrapped_key: wrappedKey })
        .where("tenant", "=", tenant)
        .where("credential_id", "=", row.credential_id)
        .where("name", "=", name)
        .where("version", "=", version)
        .where("key_id", "=", row.key_id)
        .execute();
    }
    count += rows.length;
    if (rows.length === 0) break;
  }
  const webhooks = await kysely
    .selectFrom("webhook")
    .selectAll()
    .where("key_id", "!=", box.keyId)
    .execute();
  for (const row of webhooks) {
    const { keyId, wrappedKey } = box.rewrap(placeOfWebhook(row.tenant, row.id), toSealed(row));
    await kysely
      .updateTable("webhook")
      .set({ key_id: keyId, wrapped_key: wrappedKey })
      .where("tenant", "=", row.tenant)
      .where("id", "=", row.id)
      .where("key_id", "=", row.key_id)
      .execute();
  }
  count += webhooks.length;
  await kysely.updateTable("tenant").set({ key_id: box.keyId }).execute();
  log.info({ masterKey: box.keyId, count }, "all secrets are wrapped by this master key");
  return count;
}

/** Throws when something is sealed by a master key that is not at hand: it could not be opened when it is needed. */
export async function assertMasterKeys(kysely: Kysely<Schema>, box: SecretBox): Promise<void> {
  const { rows } = await sql<{ key_id: string }>`
    select key_id from tenant union select key_id from secret union select key_id from webhook
  `.execute(kysely);
  const missing = rows.map((row) => row.key_id).filter((keyId) => !box.keyIds.has(keyId));
  if (missing.length === 0) return;
  throw new Error(
    `SLUICE_MASTER_KEY: the secrets of this database are sealed by master key ${missing.join(", ")}, and the one given is ${box.keyId}; name the other in SLUICE_FURTHER_MASTER_KEYS`,
  );
}

function toSealed(row: {
  readonly key_id: string;
  readonly wrapped_key: Uint8Array;
  readonly sealed: Uint8Array;
}): { keyId: string; wrappedKey: Uint8Array; sealed: Uint8Array } {
  return { keyId: row.key_id, wrappedKey: row.wrapped_key, sealed: row.sealed };
}
