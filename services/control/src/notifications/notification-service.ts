import type { ServiceImpl } from "@connectrpc/connect";
import type { Notification } from "@sluice/api/control/v1/notification_pb";
import type {
  AcknowledgeNotificationsRequest,
  ListNotificationsRequest,
  NotificationService,
} from "@sluice/api/control/v1/notification_service_pb";
import { type Selectable, sql } from "kysely";
import type { NotificationLogTable } from "../database/schema.ts";
import { toPage } from "../resources/page.ts";
import { notFound } from "../resources/resource-errors.ts";
import { belowNumber } from "../workflow/page-number.ts";
import { toNotification } from "./notification-rows.ts";
import type { NotificationContext } from "./notifications.ts";
import { nextEvent } from "./notify.ts";
import { watchNotifications } from "./watch.ts";

/** What somebody should know of; webhooks are webhook-service.ts. */
export type NotificationReading = Pick<
  ServiceImpl<typeof NotificationService>,
  | "listNotifications"
  | "watchNotifications"
  | "acknowledgeNotifications"
  | "getNotificationSettings"
  | "updateNotificationSettings"
>;

export function createNotificationReading(context: NotificationContext): NotificationReading {
  return {
    listNotifications: (request) => list(context, request),
    watchNotifications: (request, call) => watchNotifications(context, request, call.signal),
    acknowledgeNotifications: (request) => acknowledge(context, request),
    getNotificationSettings: async () => ({ settings: await readSettings(context) }),
    updateNotificationSettings: async ({ settings }) => {
      const workflowSucceeded = settings?.workflowSucceeded ?? false;
      await context.kysely
        .insertInto("notification_log")
        .values({ tenant: context.tenant(), workflow_succeeded: workflowSucceeded })
        .onConflict((conflict) =>
          conflict.column("tenant").doUpdateSet({ workflow_succeeded: workflowSucceeded }),
        )
        .execute();
      return { settings: await readSettings(context) };
    },
  };
}

async function list(
  context: NotificationContext,
  request: ListNotificationsRequest,
): Promise<{ notifications: Notification[]; nextPageToken: string; lastEvent: bigint }> {
  const { kysely, tenant } = context;
  const { courierId, workflowId, unacknowledgedOnly } = request;
  const page = toPage(request, [
    "notifications",
    courierId,
    workflowId,
    unacknowledgedOnly ? "unacknowledged" : "all",
  ]);
  const below = belowNumber(page);
  // Before the list: what comes between the two is in both, rather than in neither.
  const lastEvent = (await readLog(context))?.last_event ?? 0;
  const found = await kysely
    .selectFrom("notification")
    .selectAll()
    .where("tenant", "=", tenant())
    .$if(courierId !== "", (query) => query.where("courier_id", "=", courierId))
    .$if(workflowId !== "", (query) => query.where("workflow_id", "=", workflowId))
    .$if(unacknowledgedOnly, (query) => query.where("acknowledge_time", "is", null))
    .$if(below !== undefined, (query) => query.where("number", "<", below ?? 0))
    .orderBy("number", "desc")
    .limit(page.size + 1)
    .execute();
  const { rows, nextPageToken } = page.cut(found, (row) => [String(row.number)]);
  return { notifications: rows.map(toNotification), nextPageToken, lastEvent: BigInt(lastEvent) };
}

/** All of them or, with NOT_FOUND, none. Each is an event of its own, so that watchers hear of it. */
async function acknowledge(
  { kysely, tenant, newsBell }: NotificationContext,
  { ids }: AcknowledgeNotificationsRequest,
): Promise<{ notifications: Notification[] }> {
  const rows = await kysely.transaction().execute(async (trx) => {
    for (const id of new Set(ids)) {
      const event = await nextEvent(trx, tenant());
      await trx
        .updateTable("notification")
        .set({ event, acknowledge_time: sql<Date>`now()` })
        .where("tenant", "=", tenant())
        .where("id", "=", id)
        .where("acknowledge_time", "is", null)
        .execute();
    }
    const acknowledged = await trx
      .selectFrom("notification")
      .selectAll()
      .where("tenant", "=", tenant())
      .where("id", "in", ids)
      .orderBy("number", "desc")
      .execute();
    const missing = ids.find((id) => !acknowledged.some((row) => row.id === id));
    if (missing !== undefined) throw notFound("notification", missing);
    return acknowledged;
  });
  newsBell.ring();
  return { notifications: rows.map(toNotification) };
}

async function readSettings(context: NotificationContext): Promise<{ workflowSucceeded: boolean }> {
  return { workflowSucceeded: (await readLog(context))?.workflow_succeeded ?? false };
}

async function readLog({
  kysely,
  tenant,
}: NotificationContext): Promise<Selectable<NotificationLogTable> | undefined> {
  return await kysely
    .selectFrom("notification_log")
    .selectAll()
    .where("tenant", "=", tenant())
    .executeTakeFirst();
}
