import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Lease, PublishResultSchema, PublishWork } from "@sluice/api/ingest/v1/task_pb";
import { TaskService } from "@sluice/api/ingest/v1/task_service_pb";
import { StageError } from "@sluice/errors";
import {
  prepareStitchView,
  publish,
  publishRejects,
  publishReplayedRejects,
  readPublishIntent,
  verifyStaging,
} from "@sluice/load";
import { toFeed, toLoadOperation } from "./from-proto.ts";
import type { WorkerContext } from "./worker.ts";

/**
 * Checks what a workflow staged for a feed and makes it visible, once. What is about to be done is
 * recorded by control before it is done: after a doubt the tables' own ids tell whether it happened.
 * The staging tables stay until control has heard of the outcome: they are what the doubt is settled by.
 */
export async function publishFeed(
  lease: Lease,
  work: PublishWork,
  { client, warehouse }: WorkerContext,
  signal: AbortSignal,
): Promise<MessageInitShape<typeof PublishResultSchema>> {
  const { taskId, attempt, workflowId } = lease;
  if (work.feed === undefined) throw new Error("the task came without a feed");
  const feed = toFeed(work.feed);
  const operation = toLoadOperation(work.operation);

  let recorded = work.intent;
  if (recorded === undefined) {
    try {
      // Replayed rows are of many objects, and were counted when they were staged.
      if (work.replay === undefined)
        await verifyStaging({
          warehouse,
          feed,
          workflowId,
          sent: work.sent.map(({ key, rows }) => ({ key, rows: Number(rows) })),
        });
    } catch (error) {
      // Every object was verified when its load ended: what was refused may be read.
      if (error instanceof StageError && error.code === "threshold_exceeded") {
        await publishRejects(warehouse, feed, workflowId);
      }
      throw error;
    }
    const { stagingUuid, rowsUuid } = await readPublishIntent(
      warehouse,
      feed,
      workflowId,
      operation,
    );
    const answer = await client.call(
      TaskService.method.recordPublishIntent,
      { taskId, attempt, intent: { stagingUuid, rowsUuid } },
      { timeoutMs: 30_000, signal },
    );
    recorded = answer.intent;
  }
  if (recorded === undefined) throw new Error("control recorded no publish intent");

  const { stagingUuid, rowsUuid } = recorded;
  const intent = { operation, stagingUuid, rowsUuid };
  const outcome = await publish({ warehouse, feed, workflowId, attempt, intent });
  if (work.replay !== undefined) await publishReplayedRejects(warehouse, feed, workflowId);
  await prepareStitchView(warehouse, feed.source, work.stitchFeeds.map(toFeed));
  return { alreadyPublished: outcome === "already_published" };
}
