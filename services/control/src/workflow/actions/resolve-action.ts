import { toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Resolution } from "@sluice/api/control/v1/action_pb";
import {
  type ResolveActionRequest,
  ResolveActionRequestSchema,
} from "@sluice/api/control/v1/workflow_service_pb";
import { type CreatingCall, findMade, makeOnce } from "../../resources/request-id.ts";
import { type Change, type Changed, changeWorkflow, tellOf } from "../change.ts";
import type { EngineContext } from "../context.ts";
import { isResumable } from "../state-machine.ts";
import { etagOf } from "./action-message.ts";
import { markResolved, readAction } from "./action-rows.ts";
import { applyResolution } from "./apply-resolution.ts";
import { patchCourier } from "./patch-courier.ts";
import { prepareResolution } from "./prepare-resolution.ts";
import { resolutionsOf } from "./resolutions.ts";
import { giveUp, restartIn } from "./restart-workflow.ts";
import { goOn, notResumable } from "./resume.ts";
import { readSituation, type Situation } from "./situation.ts";

/**
 * Resolves an action: the workflow goes on where it was. A call that is repeated with its request id changes nothing.
 * NOT_FOUND without the action; FAILED_PRECONDITION for one that is not open, was changed since it was read, or does
 * not offer the resolution; what a change of courier or credential is refused with.
 */
export async function resolveAction(
  context: EngineContext,
  request: ResolveActionRequest,
  call: CreatingCall = {
    method: "ResolveAction",
    requestId: request.requestId,
    body: toBinary(ResolveActionRequestSchema, { ...request, requestId: "" }),
  },
): Promise<void> {
  if ((await findMade(context.requests, call)) !== undefined) return;
  const seen = await readAction(context.kysely, context.tenant(), request.id);
  const before = await readSituation(context.kysely, seen);
  const prepared = await prepareResolution(context, request, before, chosen(request, before));
  let changed: Changed<unknown> | undefined;
  await makeOnce(context.requests, call, request.id, async (trx) => {
    changed = await changeWorkflow(context, trx, seen.workflow_id, async (change) => {
      // Read again: the workflow is held now.
      const action = await readAction(trx, change.tenant, request.id);
      const situation = await readSituation(trx, action);
      const resolution = chosen(request, situation);
      const { how } = resolution;
      if (how.case === "restartWorkflow" || how.case === "patchAndRestart") {
        if (how.case === "patchAndRestart") await patchCourier(context, trx, request, how.value);
        await restart(context, change, { actionId: action.id, resolutionId: resolution.id });
        return;
      }
      if (!isResumable(change.condition.state)) throw notResumable(change);
      const { resolved, publishFirst } = await applyResolution(
        context,
        change,
        { request, resolution, situation },
        prepared,
      );
      await markResolved(change, resolved, { resolutionId: resolution.id });
      await goOn(context, change, publishFirst === undefined ? {} : { publishFirst });
    });
  });
  if (changed !== undefined) tellOf(context, changed);
  context.taskBell.ring();
}

/** The resolution that is asked for; throws when the action can't be resolved by it any more. */
function chosen(request: ResolveActionRequest, situation: Situation): Resolution {
  const { action } = situation;
  if (action.state !== "open") {
    throw new ConnectError(
      `action ${action.id} is ${action.state}: there is nothing to resolve`,
      Code.FailedPrecondition,
    );
  }
  if (request.etag !== "" && request.etag !== etagOf(situation)) {
    throw new ConnectError(
      `etag: the action ${action.id}, or the courier it would change, was changed since it was read; read it again`,
      Code.FailedPrecondition,
    );
  }
  const offers = resolutionsOf(situation);
  const found = offers.find(({ id }) => id === request.resolutionId);
  if (found === undefined) {
    throw new ConnectError(
      `resolution_id: the action offers ${offers.map(({ id }) => id).join(", ")}`,
      Code.FailedPrecondition,
    );
  }
  return found;
}

async function restart(
  context: EngineContext,
  change: Change,
  { actionId, resolutionId }: { readonly actionId: string; readonly resolutionId: string },
): Promise<void> {
  const restartedAs = await restartIn(context, change.trx, change.workflow);
  await markResolved(change, [actionId], { resolutionId, restartedAs });
  await giveUp(context, change);
}
