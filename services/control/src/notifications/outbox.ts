import { type Selectable, sql } from "kysely";
import type { WebhookDeliveryTable } from "../database/schema.ts";
import type { NotificationContext } from "./notifications.ts";
import { postTo } from "./webhook-service.ts";

type Delivery = Selectable<WebhookDeliveryTable>;

/** Deliveries that are posted at one time. */
const AT_ONCE = 8;
/** How long a try may take before another replica may begin the next: more than any try takes. */
const TRY_SECONDS = 60;
const LONGEST_PAUSE_MS = 3_600_000;
/** After that a delivery is given up. */
const GIVE_UP_MS = 3 * 24 * 3_600_000;

/** The pause after so many tries in vain: it doubles, up to an hour. */
export function deliveryPauseMs(firstPauseMs: number, attempts: number): number {
  return Math.min(firstPauseMs * 2 ** Math.min(Math.max(attempts - 1, 0), 30), LONGEST_PAUSE_MS);
}

/** Posts what is due. Gives the time until the next delivery is, in milliseconds. */
export async function outboxRound(
  context: NotificationContext,
  stopped: AbortSignal,
): Promise<number | undefined> {
  const { kysely, tenant } = context;
  const due = await kysely
    .selectFrom("webhook_delivery")
    .selectAll()
    .where("tenant", "=", tenant())
    .where("next_time", "<=", sql<Date>`clock_timestamp()`)
    .orderBy("next_time")
    .limit(AT_ONCE)
    .execute();
  await Promise.all(due.map((delivery) => deliver(context, delivery, stopped)));
  if (due.length === AT_ONCE) return 0;
  const { left } = await kysely
    .selectFrom("webhook_delivery")
    .select(
      sql<number | null>`(extract(epoch from min(next_time) - clock_timestamp())
        * 1000)::double precision`.as("left"),
    )
    .where("tenant", "=", tenant())
    .executeTakeFirstOrThrow();
  return left === null ? undefined : Math.max(0, Math.ceil(left));
}

/** One try, unless another replica has begun it. Whatever ends this process, the delivery stays and is tried again. */
async function deliver(
  context: NotificationContext,
  delivery: Delivery,
  stopped: AbortSignal,
): Promise<void> {
  const attempts = await begin(context, delivery);
  if (attempts === undefined) return;
  const webhook = await context.kysely
    .selectFrom("webhook")
    .selectAll()
    .where("tenant", "=", delivery.tenant)
    .where("id", "=", delivery.webhook_id)
    .executeTakeFirst();
  // Deleted meanwhile, and the delivery with it.
  if (webhook === undefined) return;
  const { error } = await postTo(context, webhook, delivery.id, delivery.body, stopped);
  if (error === "") {
    await remove(context, delivery);
  } else if (Date.now() - delivery.create_time.getTime() > GIVE_UP_MS) {
    context.log.warn(
      { webhookId: webhook.id, deliveryId: delivery.id, error },
      "a delivery is given up",
    );
    await remove(context, delivery, { asFailed: true });
  } else {
    const pauseMs = deliveryPauseMs(context.webhookRetryMs, attempts);
    await context.kysely
      .updateTable("webhook_delivery")
      .set({ next_time: sql<Date>`clock_timestamp() + make_interval(secs => ${pauseMs / 1000})` })
      .where("tenant", "=", delivery.tenant)
      .where("id", "=", delivery.id)
      .execute();
  }
}

/** Counts a try before it is made, if it is still the one that was read; gives its number. */
async function begin(
  { kysely }: NotificationContext,
  { tenant, id, attempts }: Delivery,
): Promise<number | undefined> {
  const begun = await kysely
    .updateTable("webhook_delivery")
    .set({
      attempts: attempts + 1,
      next_time: sql<Date>`clock_timestamp() + make_interval(secs => ${TRY_SECONDS})`,
    })
    .where("tenant", "=", tenant)
    .where("id", "=", id)
    .where("attempts", "=", attempts)
    .returning("attempts")
    .executeTakeFirst();
  return begun?.attempts;
}

async function remove(
  { kysely }: NotificationContext,
  { tenant, id, webhook_id }: Delivery,
  options: { readonly asFailed?: boolean } = {},
): Promise<void> {
  await kysely.transaction().execute(async (trx) => {
    await trx
      .deleteFrom("webhook_delivery")
      .where("tenant", "=", tenant)
      .where("id", "=", id)
      .execute();
    if (options.asFailed !== true) return;
    await trx
      .updateTable("webhook")
      .set({ failed_deliveries: sql<number>`failed_deliveries + 1` })
      .where("tenant", "=", tenant)
      .where("id", "=", webhook_id)
      .execute();
  });
}
