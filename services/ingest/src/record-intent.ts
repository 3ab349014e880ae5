import type { Lease, PublishIntent } from "@sluice/api/ingest/v1/task_pb";
import { TaskService } from "@sluice/api/ingest/v1/task_service_pb";
import { readPublishIntent, type TableName } from "@sluice/load";
import type { Feed, LoadOperation } from "@sluice/schema";
import type { WorkerContext } from "./worker.ts";

/** Has control keep what is about to be done, and gives what the first attempt said. */
export async function recordIntent(
  { taskId, attempt, workflowId }: Lease,
  { client, warehouse }: WorkerContext,
  signal: AbortSignal,
  about: {
    readonly feed: Feed;
    readonly operation: LoadOperation;
    /** Rows that readers see; undefined where there are too many to count. */
    readonly rowsBefore: number | undefined;
    /** The table that changes places with the staged one; the feed's rows when not set. */
    readonly rows?: TableName;
  },
): Promise<PublishIntent> {
  const { feed, operation, rowsBefore, rows } = about;
  const { stagingUuid, rowsUuid } = await readPublishIntent(
    warehouse,
    feed,
    workflowId,
    operation,
    rows,
  );
  const { intent } = await client.call(
    TaskService.method.recordPublishIntent,
    {
      taskId,
      attempt,
      intent: {
        stagingUuid,
        rowsUuid,
        ...(rowsBefore === undefined ? {} : { rowsBefore: BigInt(rowsBefore) }),
      },
    },
    { timeoutMs: 30_000, signal },
  );
  if (intent === undefined) throw new Error("control recorded no publish intent");
  return intent;
}
