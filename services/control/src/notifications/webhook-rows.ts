import { create, fromJson } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { type Webhook, WebhookSchema } from "@sluice/api/control/v1/notification_pb";
import { type Kysely, type Selectable, sql } from "kysely";
import type { Schema, WebhookTable } from "../database/schema.ts";
import type { SealedSecret, SecretBox } from "../secrets/secret-box.ts";

export type WebhookRow = Selectable<WebhookTable>;

/** "whsec_" and 24 to 64 bytes in base64, as the Standard Webhooks specification spells secrets. */
export function parseSecret(secret: string): Buffer | undefined {
  const match = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(secret);
  if (match?.[1] === undefined) return undefined;
  const key = Buffer.from(match[1], "base64");
  const isWhole = key.toString("base64").replace(/=+$/, "") === match[1].replace(/=+$/, "");
  return isWhole && key.length >= 24 && key.length <= 64 ? key : undefined;
}

export function sealKey(box: SecretBox, tenant: string, id: string, key: Uint8Array): SealedSecret {
  return box.seal(placeOfWebhook(tenant, id), key);
}

/** The key that a webhook's bodies are signed with. Keep it for as long as a try takes, no longer. */
export function openKey(box: SecretBox, row: WebhookRow): Buffer {
  return box.open(placeOfWebhook(row.tenant, row.id), {
    keyId: row.key_id,
    wrappedKey: row.wrapped_key,
    sealed: row.sealed,
  });
}

/** A webhook's id stands where a credential's does: they never meet, as their prefixes differ. */
export function placeOfWebhook(
  tenant: string,
  id: string,
): { tenant: string; credentialId: string; name: string; version: number } {
  return { tenant, credentialId: id, name: "secret", version: 1 };
}

/** Every webhook of a tenant as the API gives it, or one of them; oldest first. */
export async function readWebhooks(
  kysely: Kysely<Schema>,
  tenant: string,
  id?: string,
): Promise<Webhook[]> {
  const rows = await kysely
    .selectFrom("webhook")
    .selectAll()
    .select(
      sql<number>`(select count(*) from webhook_delivery as delivery
        where delivery.tenant = webhook.tenant and delivery.webhook_id = webhook.id)::bigint`.as(
        "waiting",
      ),
    )
    .where("tenant", "=", tenant)
    .$if(id !== undefined, (query) => query.where("id", "=", id ?? ""))
    .orderBy("number")
    .execute();
  return rows.map((row) => toWebhook(row, row.waiting));
}

function toWebhook(row: WebhookRow, waiting: number): Webhook {
  return create(WebhookSchema, {
    id: row.id,
    url: row.url,
    kinds: fromJson(WebhookSchema, { kinds: row.kinds }).kinds,
    waitingDeliveries: BigInt(waiting),
    failedDeliveries: BigInt(row.failed_deliveries),
    lastError: row.last_error,
    createTime: timestampFromDate(row.create_time),
    ...(row.last_attempt_time === null
      ? {}
      : { lastAttemptTime: timestampFromDate(row.last_attempt_time) }),
  });
}
