import type { Lease, PublishIntent } from "@sluice/api/ingest/v1/task_pb";
import { TaskService } from "@sluice/api/ingest/v1/task_service_pb";
import type { PublishIntent as TablesToChange } from "@sluice/load";
import type { WorkerContext } from "./worker.ts";

/** Has control keep what is about to be done, and gives what the first attempt said. */
export async function recordIntent(
  { taskId, attempt }: Lease,
  { client }: Pick<WorkerContext, "client">,
  signal: AbortSignal,
  { stagingUuid, rowsUuid }: TablesToChange,
  /** Rows that readers see; undefined where there are too many to count. */
  rowsBefore: number | undefined,
): Promise<PublishIntent> {
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
