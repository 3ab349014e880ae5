import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  DiscardResultSchema,
  DiscardWork,
  Lease,
  PublishWork,
} from "@sluice/api/ingest/v1/task_pb";
import { dropStaging } from "@sluice/load";
import { toFeed } from "./from-proto.ts";
import type { WorkerContext } from "./worker.ts";

/** Removes what a workflow that failed or was stopped had staged. */
export async function discard(
  { workflowId }: Lease,
  { feeds }: DiscardWork,
  { warehouse }: WorkerContext,
): Promise<MessageInitShape<typeof DiscardResultSchema>> {
  for (const feed of feeds.map(toFeed)) await dropStaging(warehouse, feed, workflowId);
  return {};
}

/** Removes the staging tables of a publish that control has recorded. What fails here is swept up later. */
export async function dropPublished(
  { workflowId }: Lease,
  { feed }: PublishWork,
  { warehouse, log }: WorkerContext,
): Promise<void> {
  if (feed === undefined) return;
  try {
    await dropStaging(warehouse, toFeed(feed), workflowId);
  } catch (error) {
    log.warn({ err: error, workflow: workflowId }, "the staging tables could not be dropped");
  }
}
