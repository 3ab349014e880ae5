import { type Selectable, sql } from "kysely";
import type { WebhookDeliveryTable } from "../database/schema.ts";
import type { NotificationContext } from "./notifications.ts";
import { postTo } from "./webhook-service.ts";

type Delivery = Selectable<WebhookDeliveryTable>;

/** How long a try may take before another replica may begin the next: more than any try takes. */
const TRY_SECONDS = 60;
const LONGEST_PAUSE_MS = 3_600_000;
/** After that a delivery is given up. */
const GIVE_UP_MS = 3 * 24 * 3_600_000;

/** The pause after so many tries in vain: it doubles, up to an hour. */
export function deliveryPauseMs(firstPauseMs: number, attempts: number): number {
  return Math.min(firstPauseMs * 2 ** Math.min(Math.max(attempts - 1, 0), 30), LONGEST_PAUSE_MS);
}

/** What waits to be posted, and the tries that are under way. */
export interface Outbox {
  /** Begins what is due. Gives the time until more is, in milliseconds. */
  round(stopped: AbortSignal): Promise<number | undefined>;
  /** Waits for the tries that are under way. */
  settled(): Promise<void>;
}

/**
 * One try at a time for each webhook, so that one which answers slowly, or never, holds none of the others up. `onDone` is
 * called after each: more may be due.
 */
export function createOutbox(context: NotificationContext, onDone: () => void): Outbox {
  const busy = new Map<string, Promise<void>>();
  function begin(delivery: Delivery, stopped: AbortSignal): void {
    const { webhook_id: webhookId, id: deliveryId } = delivery;
    const trying = deliver(context, delivery, stopped)
      .catch((error: unknown) => {
        if (stopped.aborted) return;
        context.log.warn({ err: error, webhookId, deliveryId }, "a delivery could not be tried");
      })
      .finally(() => {
        busy.delete(webhookId);
        onDone();
      });
    busy.set(webhookId, trying);
  }
  return {
    async round(stopped) {
      for (const delivery of await dueDeliveries(context, [...busy.keys()])) {
        begin(delivery, stopped);
      }
      return await nextDueMs(context, [...busy.keys()]);
    },
    async settled() {
      await Promise.all(busy.values());
    },
  };
}

/** The first delivery that is due for each webhook, those apart which are busy. */
async function dueDeliveries(
  { kysely, tenant }: NotificationContext,
  busy: readonly string[],
): Promise<Delivery[]> {
  return await kysely
    .selectFrom("webhook_delivery")
    .distinctOn("webhook_id")
    .selectAll()
    .where("tenant", "=", tenant())
    .where("next_time", "<=", sql<Date>`clock_timestamp()`)
    .$if(busy.length > 0, (query) => query.where("webhook_id", "not in", busy))
    .orderBy("webhook_id")
    .orderBy("next_time")
    .execute();
}

async function nextDueMs(
  { kysely, tenant }: NotificationContext,
  busy: readonly string[],
): Promise<number | undefined> {
  const { left } = await kysely
    .selectFrom("webhook_delivery")
    .select(
      sql<number | null>`(extract(epoch from min(next_time) - clock_timestamp())
        * 1000)::double precision`.as("left"),
    )
    .where("tenant", "=", tenant())
    .$if(busy.length > 0, (query) => query.where("webhook_id", "not in", busy))
    .executeTakeFirstOrThrow();
  return left === null ? undefined : Math.max(0, Math.ceil(left));
}

/** One try, unless another replica has begun it. Whatever ends this process, the delivery stays and is tried again. */
async function deliver(
  context: NotificationContext,
  delivery: Delivery,
  stopped: AbortSignal,
): Promise<void> {
  const attempts = await countTry(context, delivery);
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
async function countTry(
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
