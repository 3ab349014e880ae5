import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { type Notification, NotificationSchema } from "@sluice/api/control/v1/notification_pb";
import type { Selectable } from "kysely";
import type { NotificationTable } from "../database/schema.ts";
import { failureFromJson } from "../workflow/failure.ts";

export type NotificationRow = Selectable<NotificationTable>;

export function toNotification(row: NotificationRow): Notification {
  const { sources } = row;
  return create(NotificationSchema, {
    id: row.id,
    event: BigInt(row.event),
    kind: row.kind,
    message: row.message,
    workflowId: row.workflow_id,
    courierId: row.courier_id,
    courierName: row.courier_name,
    sources: Array.isArray(sources) ? sources.filter((each) => typeof each === "string") : [],
    groupRunId: row.group_run_id,
    groupId: row.group_id,
    groupName: row.group_name,
    createTime: timestampFromDate(row.create_time),
    ...(row.failure === null ? {} : { failure: failureFromJson(row.failure) }),
    ...(row.acknowledge_time === null
      ? {}
      : { acknowledgeTime: timestampFromDate(row.acknowledge_time) }),
  });
}
