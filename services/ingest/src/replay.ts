import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  Lease,
  LoadObjectResultSchema,
  ReplayRejectsWork,
} from "@sluice/api/ingest/v1/task_pb";
import { replayRejects } from "@sluice/load";
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
  const of = work.workflowId === "" ? {} : { workflowId: work.workflowId };
  const { rows, rejected } = await replayRejects(warehouse, toFeed(work.feed), workflowId, {
    ...of,
    signal,
  });
  return {
    checkpoint: { batches: 1n, rows: BigInt(rows), rejectedRows: BigInt(rejected) },
    route: "replay of rejected rows, inside ClickHouse",
  };
}
