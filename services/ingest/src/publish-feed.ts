import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Lease, PublishResultSchema, PublishWork } from "@sluice/api/ingest/v1/task_pb";
import { crashPoint, StageError } from "@sluice/errors";
import {
  countVisible,
  patientWarehouse,
  prepareStitchView,
  publish,
  publishReplayedRejects,
  readPublishIntent,
  showRejects,
  verifyStaging,
} from "@sluice/load";
import type { IngestConfig } from "./config.ts";
import { toFeed, toLoadOperation } from "./from-proto.ts";
import { recordIntent } from "./record-intent.ts";
import type { WorkerContext } from "./worker.ts";

/** What of a worker a publish needs. */
export type PublishContext = Pick<WorkerContext, "client" | "warehouse"> & {
  readonly config: Pick<IngestConfig, "keepReplacedTables">;
};

/**
 * Checks what a workflow staged for a feed and makes it visible, once. What is about to be done is
 * recorded by control before it is done: after a doubt the tables' own ids tell whether it happened.
 * The staging tables stay until control has heard of the outcome: they are what the doubt is settled by.
 */
export async function publishFeed(
  lease: Lease,
  work: PublishWork,
  context: PublishContext,
  signal: AbortSignal,
): Promise<MessageInitShape<typeof PublishResultSchema>> {
  const { attempt, workflowId } = lease;
  const warehouse = patientWarehouse(context.warehouse, signal);
  if (work.feed === undefined) throw new Error("the task came without a feed");
  const feed = toFeed(work.feed);
  const operation = toLoadOperation(work.operation);

  let recorded = work.intent;
  let stagedRows: number | undefined;
  if (recorded === undefined) {
    try {
      // Replayed rows are of many objects, and were counted when they were staged.
      const verified =
        work.replay === undefined
          ? verifyStaging({
              warehouse,
              feed,
              workflowId,
              sent: work.sent.map((object) => ({ ...object, rows: Number(object.rows) })),
            })
          : undefined;
      const [found, seen, staged] = await Promise.all([
        readPublishIntent(warehouse, feed, workflowId, operation),
        countVisible(warehouse, feed, workflowId),
        verified,
      ]);
      stagedRows = staged?.rows;
      crashPoint("worker-verified");
      recorded = await recordIntent(lease, context, signal, found, seen?.rows);
    } catch (error) {
      // Every object was verified when its load ended: what was refused may be read.
      if (error instanceof StageError && error.code === "threshold_exceeded") {
        await showRejects(warehouse, feed, workflowId);
      }
      throw error;
    }
  }
  crashPoint("worker-intent-told");
  const { stagingUuid, rowsUuid, rowsBefore } = recorded;
  const intent = { operation, stagingUuid, rowsUuid };
  const keepReplaced = operation === "truncate_and_load" && context.config.keepReplacedTables;
  const outcome = await publish({
    warehouse,
    feed,
    workflowId,
    attempt,
    intent,
    keepReplaced,
    ...(stagedRows === undefined ? {} : { stagedRows }),
  });
  if (work.replay !== undefined) await publishReplayedRejects(warehouse, feed, workflowId);
  const [visible] = await Promise.all([
    countVisible(warehouse, feed, workflowId),
    prepareStitchView(warehouse, feed.source, work.stitchFeeds.map(toFeed)),
  ]);
  crashPoint("worker-published");
  return {
    alreadyPublished: outcome === "already_published",
    ...(rowsBefore === undefined ? {} : { rowsBefore }),
    ...(visible === undefined
      ? {}
      : { rowsAfter: BigInt(visible.rows), ownRows: BigInt(visible.own) }),
    keepsReplacedTable: keepReplaced,
  };
}
