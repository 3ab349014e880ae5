import type { MessageInitShape } from "@bufbuild/protobuf";
import type { DiscardResultSchema, DiscardWork, Lease } from "@sluice/api/ingest/v1/task_pb";
import { crashPoint } from "@sluice/errors";
import { dropQuery, dropStaging } from "@sluice/load";
import { toFeed } from "./from-proto.ts";
import { openSource, uploadsOf } from "./open-source.ts";
import type { WorkerContext } from "./worker.ts";

/** Removes the private tables of a workflow that has ended, and what was uploaded for it. */
export async function discard(
  { workflowId }: Lease,
  { feeds, uploadKeys }: DiscardWork,
  { warehouse, config }: WorkerContext,
): Promise<MessageInitShape<typeof DiscardResultSchema>> {
  crashPoint("worker-before-discard");
  for (const feed of feeds.map(toFeed)) {
    await dropStaging(warehouse, feed, workflowId);
    await dropQuery(warehouse, { feed, workflowId });
  }
  if (uploadKeys.length > 0) {
    await using source = openSource(uploadsOf(config), config);
    for (const key of uploadKeys) await source.uploads.remove(key);
  }
  return {};
}
