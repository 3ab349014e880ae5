import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  Lease,
  LoadObjectResultSchema,
  ReplayRejectsWork,
} from "@sluice/api/ingest/v1/task_pb";
import { patientWarehouse, replayRejects } from "@sluice/load";
import { toFeed } from "./from-proto.ts";
import type { WorkerContext } from "./worker.ts";

/** Casts rejected rows again, from their records in the reject table into the workflow's staging tables. */
export async function replay(
  { workflowId }: Lease,
  work: ReplayRejectsWork,
  { warehouse }: WorkerContext,
  signal: AbortSignal,
): Promise<MessageInitShape<typeof LoadObjectResultSchema>> {
  if (work.feed === undefined) throw new Error("the task came without a feed");
  const { healed, refused, skipped, warnings } = await replayRejects(
    patientWarehouse(warehouse, signal),
    toFeed(work.feed),
    workflowId,
    {
      ...(work.workflowId === "" ? {} : { workflowId: work.workflowId }),
      fromOrdinal: Number(work.fromOrdinal),
    },
  );
  const unread =
    skipped === 0 ? [] : [`${skipped} rejects cannot be cast again and stay as they are`];
  return {
    checkpoint: { batches: 1n, rows: BigInt(healed + refused), rejectedRows: BigInt(refused) },
    warnings: [...unread, ...warnings],
    route: "replay of rejected rows, inside ClickHouse",
  };
}
