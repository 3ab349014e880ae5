import { create } from "@bufbuild/protobuf";
import {
  type WatchNotificationsRequest,
  type WatchNotificationsResponse,
  WatchNotificationsResponseSchema,
} from "@sluice/api/control/v1/notification_service_pb";
import { toNotification } from "./notification-rows.ts";
import type { NotificationContext } from "./notifications.ts";

/** Notifications that are read at once. */
const BATCH = 200;

/**
 * Every change after `afterEvent`, oldest first, in exactly one event; of a notification that changed twice since, the
 * last change alone. UNAVAILABLE when the service stops: the watcher goes on elsewhere from the last event it saw.
 */
export async function* watchNotifications(
  { kysely, tenant, newsBell, pollMs, shutdown }: NotificationContext,
  request: WatchNotificationsRequest,
  caller: AbortSignal,
): AsyncGenerator<WatchNotificationsResponse> {
  let after = Number(request.afterEvent);
  for (;;) {
    caller.throwIfAborted();
    shutdown.throwIfAborted();
    const seen = newsBell.rung;
    const rows = await kysely
      .selectFrom("notification")
      .selectAll()
      .where("tenant", "=", tenant())
      .where("event", ">", after)
      .orderBy("event")
      .limit(BATCH)
      .execute();
    for (const row of rows) {
      yield create(WatchNotificationsResponseSchema, {
        event: BigInt(row.event),
        notification: toNotification(row),
      });
      after = row.event;
    }
    if (rows.length < BATCH) await newsBell.after(seen, pollMs, caller, shutdown);
  }
}
