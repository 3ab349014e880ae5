import { create, toBinary } from "@bufbuild/protobuf";
import { CourierSchema, LoadOperation } from "@sluice/api/control/v1/courier_pb";
import {
  type ReplayRejectsRequest,
  ReplayRejectsRequestSchema,
} from "@sluice/api/control/v1/domain_table_service_pb";
import { makeId } from "../resources/identity.ts";
import { makeOnce } from "../resources/request-id.ts";
import { activeVersion, insertWorkflow } from "./begin-workflow.ts";
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
  const id = makeId("wf");
  const call = {
    method: "ReplayRejects",
    requestId: request.requestId,
    body: toBinary(ReplayRejectsRequestSchema, { ...request, requestId: "" }),
  };
  const workflowId = await makeOnce(context.requests, call, id, async (trx) => {
    const tenant = context.tenant();
    const courier = create(CourierSchema, {
      files: [{ tag: REJECTS_TAG }],
      loads: [{ feedId, fileTag: REJECTS_TAG, operation: LoadOperation.LOAD }],
    });
    const feeds = [await activeVersion(trx, tenant, feedId)];
    const startDate = now.toISOString().slice(0, 10);
    await insertWorkflow(trx, {
      tenant,
      id,
      days: { startDate, endDate: nextDay(startDate) },
      skipMissingFiles: false,
      plan: { courier, feeds, replayOf },
    });
  });
  if (workflowId === id) context.taskBell.ring();
  return { workflowId };
}
