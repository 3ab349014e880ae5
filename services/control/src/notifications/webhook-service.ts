import { toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import type { Webhook } from "@sluice/api/control/v1/notification_pb";
import {
  type CreateWebhookRequest,
  CreateWebhookRequestSchema,
  type NotificationService,
} from "@sluice/api/control/v1/notification_service_pb";
import { sql } from "kysely";
import { makeId } from "../resources/identity.ts";
import { findMade, makeOnce } from "../resources/request-id.ts";
import { notFound } from "../resources/resource-errors.ts";
import { refuseField } from "../server/field-violations.ts";
import type { NotificationContext } from "./notifications.ts";
import { toBody } from "./notify.ts";
import { type PostResult, postWebhook } from "./post-webhook.ts";
import { webhookUrlFault } from "./webhook-address.ts";
import { openKey, parseSecret, readWebhooks, sealKey, type WebhookRow } from "./webhook-rows.ts";

const MAX_WEBHOOKS = 50;

/** Where else notifications are told. */
export type Webhooks = Pick<
  ServiceImpl<typeof NotificationService>,
  "createWebhook" | "listWebhooks" | "deleteWebhook" | "testWebhook"
>;

export function createWebhooks(context: NotificationContext): Webhooks {
  const { kysely, tenant } = context;
  return {
    createWebhook: async (request) => ({
      webhook: await read(context, await make(context, request)),
    }),
    listWebhooks: async () => ({ webhooks: await readWebhooks(kysely, tenant()) }),
    deleteWebhook: async ({ id }) => {
      const { numDeletedRows } = await kysely
        .deleteFrom("webhook")
        .where("tenant", "=", tenant())
        .where("id", "=", id)
        .executeTakeFirst();
      if (numDeletedRows === 0n) throw notFound("webhook", id);
      return {};
    },
    testWebhook: async ({ id }) => {
      const row = await kysely
        .selectFrom("webhook")
        .selectAll()
        .where("tenant", "=", tenant())
        .where("id", "=", id)
        .executeTakeFirst();
      if (row === undefined) throw notFound("webhook", id);
      const body = toBody("test", new Date(), {});
      const result = await postTo(context, row, makeId("msg"), body, context.shutdown);
      return { delivered: result.error === "", ...result };
    },
  };
}

async function read({ kysely, tenant }: NotificationContext, id: string): Promise<Webhook> {
  const [webhook] = await readWebhooks(kysely, tenant(), id);
  if (webhook === undefined) throw notFound("webhook", id);
  return webhook;
}

async function make(context: NotificationContext, request: CreateWebhookRequest): Promise<string> {
  const tenant = context.tenant();
  const call = {
    method: "CreateWebhook",
    requestId: request.requestId,
    body: toBinary(CreateWebhookRequestSchema, { ...request, requestId: "" }),
  };
  const made = await findMade(context, call);
  if (made !== undefined) return made;
  const { url = "", secret = "", kinds = [] } = request.webhook ?? {};
  const fault = webhookUrlFault(url, context.allowedWebhookHosts);
  if (fault !== undefined) {
    refuseField(CreateWebhookRequestSchema, "webhook.url", "webhook.address_refused", fault);
  }
  const key = parseSecret(secret);
  if (key === undefined) {
    const why = "has to be whsec_ and 24 to 64 bytes in base64";
    refuseField(CreateWebhookRequestSchema, "webhook.secret", "webhook.secret", why);
  }
  return await makeOnce(context, call, makeId("hook"), async (trx, id) => {
    const sealed = sealKey(context.secrets, tenant, id, key);
    const { count } = await trx
      .selectFrom("webhook")
      .select(sql<number>`count(*)::bigint`.as("count"))
      .where("tenant", "=", tenant)
      .executeTakeFirstOrThrow();
    if (count >= MAX_WEBHOOKS) {
      throw new ConnectError(
        `there are ${count} webhooks already: delete one first`,
        Code.ResourceExhausted,
      );
    }
    await trx
      .insertInto("webhook")
      .values({
        tenant,
        id,
        url,
        kinds: JSON.stringify(kinds),
        key_id: sealed.keyId,
        wrapped_key: sealed.wrappedKey,
        sealed: sealed.sealed,
      })
      .execute();
  });
}

/** Posts to a webhook once, and keeps with it how that went. */
export async function postTo(
  context: NotificationContext,
  webhook: WebhookRow,
  deliveryId: string,
  body: string,
  stopped: AbortSignal,
): Promise<PostResult> {
  const key = openKey(context.secrets, webhook);
  let result: PostResult;
  try {
    const posting = { url: webhook.url, deliveryId, body, key };
    result = await postWebhook(posting, context.allowedWebhookHosts, stopped);
  } finally {
    key.fill(0);
  }
  await context.kysely
    .updateTable("webhook")
    .set({ last_error: result.error, last_attempt_time: sql<Date>`now()` })
    .where("tenant", "=", webhook.tenant)
    .where("id", "=", webhook.id)
    .execute();
  return result;
}
