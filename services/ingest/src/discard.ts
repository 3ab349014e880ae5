import type { MessageInitShape } from "@bufbuild/protobuf";
import type { DiscardResultSchema, DiscardWork, Lease } from "@sluice/api/ingest/v1/task_pb";
import { dropQuery, dropStaging } from "@sluice/load";
import { toFeed } from "./from-proto.ts";
import type { WorkerContext } from "./worker.ts";

/** Removes the private tables of a workflow that has ended. */
export async function discard(
  { workflowId }: Lease,
  { feeds }: DiscardWork,
  { warehouse }: WorkerContext,
): Promise<MessageInitShape<typeof DiscardResultSchema>> {
  for (const feed of feeds.map(toFeed)) {
    await dropStaging(warehouse, feed, workflowId);
    await dropQuery(warehouse, { feed, workflowId });
  }
  return {};
}
