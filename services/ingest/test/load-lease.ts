import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { FieldSchema } from "@sluice/api/control/v1/feed_pb";
import { type Lease, LeaseSchema } from "@sluice/api/ingest/v1/task_pb";

/** The lease of a load of one CSV object from a store at `endpoint`. */
export function loadLease(options: {
  readonly endpoint: string;
  readonly fields?: MessageInitShape<typeof FieldSchema>[];
}): Lease {
  const {
    endpoint,
    fields = [{ incomingName: "id", type: { type: { case: "integer", value: {} } } }],
  } = options;
  return create(LeaseSchema, {
    taskId: "load",
    attempt: 1,
    workflowId: "workflow",
    expireTime: timestampFromMs(Date.now() + 60_000),
    work: {
      case: "loadObject",
      value: {
        connection: {
          bucket: "acme",
          endpoint,
          access: { case: "key", value: { accessKeyId: "key", secretAccessKey: "secret" } },
        },
        object: { bucket: "acme", key: "people.csv", etag: '"etag"', size: 100n },
        settings: { format: { case: "delimited", value: {} } },
        feed: {
          feedId: "feed",
          source: "crm",
          name: "people",
          version: 1,
          spec: { fields, primaryKey: ["id"] },
        },
      },
    },
  });
}
