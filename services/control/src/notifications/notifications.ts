import type { ServiceImpl } from "@connectrpc/connect";
import type { NotificationService } from "@sluice/api/control/v1/notification_service_pb";
import type { AllowedHosts } from "@sluice/outbound";
import type { Logger } from "pino";
import { createLoop } from "../loop.ts";
import type { RequestContext } from "../resources/request-id.ts";
import { eachTenant, type Tenant } from "../tenant.ts";
import { type Bell, createBell } from "../workflow/bell.ts";
import { createNotificationReading } from "./notification-service.ts";
import { createOutbox } from "./outbox.ts";
import { createWebhooks } from "./webhook-service.ts";

/** What every part of the notifications works with. */
export interface NotificationContext extends RequestContext {
  readonly log: Logger;
  /** Hosts that webhooks may name although they are not public. */
  readonly allowedWebhookHosts: AllowedHosts;
  /** The pause after a delivery's first try in vain; it doubles. */
  readonly webhookRetryMs: number;
  /** The longest time until what other replicas wrote is seen. */
  readonly pollMs: number;
  /** Rung when there are notifications that nobody in this process has seen. */
  readonly newsBell: Bell;
  /** Aborts with a ConnectError when the service stops. */
  readonly shutdown: AbortSignal;
}

export interface NotificationsOptions extends Omit<NotificationContext, "newsBell" | "pollMs"> {
  /** Default 1,000. */
  readonly pollMs?: number;
  /** Whose webhooks are posted to. */
  readonly tenants: () => readonly Tenant[];
}

/** Notifications: showing them, and posting them elsewhere. */
export interface Notifications {
  readonly service: ServiceImpl<typeof NotificationService>;
  /** There is news: wakes who watches, and what posts. */
  ring(): void;
  start(): void;
  /** Ends tries that are under way; they are made again by whoever starts next. */
  stop(): Promise<void>;
}

export function createNotifications(options: NotificationsOptions): Notifications {
  const pollMs = options.pollMs ?? 1_000;
  const context: NotificationContext = { ...options, pollMs, newsBell: createBell() };
  const outbox = createOutbox(context, () => loop.bell.ring());
  const loop = createLoop({
    name: "webhook deliveries",
    log: options.log,
    longestPauseMs: pollMs,
    round: (stopped) => eachTenant(options.tenants(), () => outbox.round(stopped)),
  });
  return {
    service: { ...createNotificationReading(context), ...createWebhooks(context) },
    ring: () => {
      context.newsBell.ring();
      loop.bell.ring();
    },
    start: () => loop.start(),
    async stop() {
      await loop.stop();
      await outbox.settled();
    },
  };
}
