import { toJson } from "@bufbuild/protobuf";
import type { StageFailure } from "@sluice/api/control/v1/failure_pb";
import { Notification_Kind, NotificationSchema } from "@sluice/api/control/v1/notification_pb";
import { type Kysely, sql } from "kysely";
import type { Schema } from "../database/schema.ts";
import { makeId } from "../resources/identity.ts";
import type { Tenant } from "../tenant.ts";
import { failureToJson } from "../workflow/failure.ts";
import { toNotification } from "./notification-rows.ts";

/** Something that happened, as it is first written. What is not set is empty. */
export interface NewNotification {
  readonly kind: Notification_Kind;
  readonly message: string;
  readonly workflowId?: string;
  readonly courierId?: string;
  readonly courierName?: string;
  readonly sources?: readonly string[];
  readonly groupRunId?: string;
  readonly groupId?: string;
  readonly groupName?: string;
  readonly failure?: StageFailure;
}

/** What receivers of webhooks tell notifications apart by. */
const KIND_WORDS: Record<Notification_Kind, string> = {
  [Notification_Kind.UNSPECIFIED]: "unspecified",
  [Notification_Kind.WORKFLOW_FAILED]: "workflow_failed",
  [Notification_Kind.WORKFLOW_SUCCEEDED]: "workflow_succeeded",
  [Notification_Kind.MISSING_FILE]: "missing_file",
  [Notification_Kind.RUNTIME_EXCEEDED]: "runtime_exceeded",
  [Notification_Kind.STOPPED]: "stopped",
};

/**
 * Writes a notification, and for each webhook that wants it a delivery, in the transaction of what happened: either both
 * are durable or neither is. Has to be the last thing that takes a lock in it.
 */
export async function notify(
  trx: Kysely<Schema>,
  tenant: Tenant,
  happened: NewNotification,
): Promise<void> {
  const event = await nextEvent(trx, tenant);
  const row = await trx
    .insertInto("notification")
    .values({
      tenant,
      id: makeId("note"),
      number: event,
      event,
      kind: happened.kind,
      message: happened.message,
      workflow_id: happened.workflowId ?? "",
      courier_id: happened.courierId ?? "",
      courier_name: happened.courierName ?? "",
      sources: JSON.stringify(happened.sources ?? []),
      group_run_id: happened.groupRunId ?? "",
      group_id: happened.groupId ?? "",
      group_name: happened.groupName ?? "",
      failure: happened.failure === undefined ? null : failureToJson(happened.failure),
    })
    .returningAll()
    .executeTakeFirstOrThrow();
  const webhooks = await trx
    .selectFrom("webhook")
    .select(["id", "kinds"])
    .where("tenant", "=", tenant)
    .forKeyShare()
    .execute();
  const wanting = webhooks.filter(({ kinds }) => isWanted(kinds, happened.kind));
  if (wanting.length === 0) return;
  const data = toJson(NotificationSchema, toNotification(row));
  const body = toBody(KIND_WORDS[happened.kind] ?? "unspecified", row.create_time, data);
  await trx
    .insertInto("webhook_delivery")
    .values(wanting.map(({ id }) => ({ tenant, id: makeId("msg"), webhook_id: id, body })))
    .execute();
}

/** Takes the next event's number; nobody else can until the transaction ends. */
export async function nextEvent(trx: Kysely<Schema>, tenant: Tenant): Promise<number> {
  const { last_event } = await trx
    .insertInto("notification_log")
    .values({ tenant, last_event: 1 })
    .onConflict((conflict) =>
      conflict
        .column("tenant")
        .doUpdateSet({ last_event: sql<number>`notification_log.last_event + 1` }),
    )
    .returning("last_event")
    .executeTakeFirstOrThrow();
  return last_event;
}

/** What is posted: the Standard Webhooks specification's three fields. */
export function toBody(type: string, time: Date, data: unknown): string {
  return JSON.stringify({ type, timestamp: time.toISOString(), data });
}

function isWanted(kinds: unknown, kind: Notification_Kind): boolean {
  return Array.isArray(kinds) && (kinds.length === 0 || kinds.includes(kind));
}
