import type { MessageInitShape } from "@bufbuild/protobuf";
import type { CompareResultSchema, CompareWork, Lease } from "@sluice/api/ingest/v1/task_pb";
import { compareStaging, patientWarehouse, verifyStaging } from "@sluice/load";
import { toFeed } from "./from-proto.ts";
import type { WorkerContext } from "./worker.ts";

/** Compares what a shadow load staged with the domain table. Changes nothing; the discard removes what was staged. */
export async function compare(
  { workflowId }: Lease,
  work: CompareWork,
  context: WorkerContext,
  signal: AbortSignal,
): Promise<MessageInitShape<typeof CompareResultSchema>> {
  const warehouse = patientWarehouse(context.warehouse, signal);
  if (work.draft === undefined || work.active === undefined) {
    throw new Error("the task came without its feeds");
  }
  const draft = toFeed(work.draft);
  const sent = work.sent.map(({ key, rows }) => ({ key, rows: Number(rows) }));
  // However many rows the draft rejects, that is what somebody wants to see.
  const lenient = { ...draft, errorThresholdPercent: 100 };
  await verifyStaging({ warehouse, feed: lenient, workflowId, sent });
  const files = sent.map(({ key }) => key);
  const found = await compareStaging(warehouse, draft, toFeed(work.active), workflowId, files);
  const { rows, loaded, rejected, byKey } = found;
  return {
    comparison: {
      rows: BigInt(rows),
      activeRows: BigInt(found.activeRows),
      loadedRows: BigInt(loaded),
      rejectedRows: BigInt(rejected),
      activeRejectedRows: BigInt(found.activeRejected),
      repeatedKeys: BigInt(found.repeatedKeys),
      addedRows: BigInt(byKey?.added ?? 0),
      lostRows: BigInt(byKey?.lost ?? 0),
      changedRows: BigInt(byKey?.changed ?? 0),
      supersededRows: BigInt(byKey?.superseded ?? 0),
      rowsCompared: byKey !== undefined,
      thresholdExceeded: rejected * 100 > draft.errorThresholdPercent * (loaded + rejected),
      fields: found.fields.map((field) => ({
        name: field.name,
        type: field.type,
        activeType: field.activeType,
        nulls: BigInt(field.nulls),
        activeNulls: BigInt(field.activeNulls),
        rejectedRows: BigInt(field.rejected),
        activeRejectedRows: BigInt(field.activeRejected),
        changedValues: BigInt(field.changed),
        examples: field.examples.map(({ key, value, activeValue }) => ({
          key: [...key],
          ...(value === null ? {} : { value }),
          ...(activeValue === null ? {} : { activeValue }),
        })),
      })),
    },
  };
}
