import { create, toBinary } from "@bufbuild/protobuf";
import { CourierSchema, LoadOperation } from "@sluice/api/control/v1/courier_pb";
import {
  type ReplayRejectsRequest,
  ReplayRejectsRequestSchema,
} from "@sluice/api/control/v1/domain_table_service_pb";
import { activeVersion, beginOnce } from "./begin-workflow.ts";
import type { EngineContext } from "./context.ts";
import { nextDay } from "./days.ts";
import { readRow } from "./read-workflow.ts";

/** What stands for a file where the records come from the reject table. */
const REJECTS_TAG = "rejects";

/**
 * Starts a workflow that casts a feed's rejects again: its list finds one object without a name, which stands for
 * the reject table, and so it goes on like any other. Gives its id; with a request id that was used before, the
 * first one's. NOT_FOUND without the feed or the workflow, FAILED_PRECONDITION for a feed that is not active.
 */
export async function replayRejects(
  context: EngineContext,
  request: ReplayRejectsRequest,
  now: Date = new Date(),
): Promise<{ readonly workflowId: string }> {
  const { feedId, workflowId: replayOf } = request;
  if (replayOf !== "") await readRow(context, replayOf);
  const call = {
    method: "ReplayRejects",
    requestId: request.requestId,
    body: toBinary(ReplayRejectsRequestSchema, { ...request, requestId: "" }),
  };
  const courier = create(CourierSchema, {
    files: [{ tag: REJECTS_TAG }],
    loads: [
      {
        feed: { case: "feedId", value: feedId },
        fileTag: REJECTS_TAG,
        operation: LoadOperation.LOAD,
      },
    ],
  });
  const startDate = now.toISOString().slice(0, 10);
  const workflowId = await beginOnce(context, call, async (trx, tenant) => ({
    days: { startDate, endDate: nextDay(startDate) },
    options: {},
    plan: { courier, feeds: [await activeVersion(trx, tenant, feedId)], replayOf },
  }));
  return { workflowId };
}
