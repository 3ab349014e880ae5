import { Code, ConnectError } from "@connectrpc/connect";
import type { Resolution } from "@sluice/api/control/v1/action_pb";
import { Retry, StageFailureSchema } from "@sluice/api/control/v1/failure_pb";
import {
  type ResolveActionRequest,
  ResolveActionRequestSchema,
} from "@sluice/api/control/v1/workflow_service_pb";
import { isMasked } from "../../resources/update-mask.ts";
import { refuseField } from "../../server/field-violations.ts";
import type { EngineContext, PinnedObject } from "../context.ts";
import { openFailures } from "./open-failures.ts";
import type { Situation } from "./situation.ts";

/** What was found out before the workflow is held: workers are not waited for in a transaction. */
export interface Prepared {
  /** The versions that are in the bucket now, by key. Empty when they were not looked for. */
  readonly pins: ReadonlyMap<string, PinnedObject>;
}

/** Changes the credential if that is asked for, and asks a worker which versions are in the bucket now. */
export async function prepareResolution(
  context: EngineContext,
  request: ResolveActionRequest,
  situation: Situation,
  { how }: Resolution,
): Promise<Prepared> {
  const { input } = request;
  const { plan, courier } = situation;
  switch (how.case) {
    case "updateCredential": {
      if (input.case === "credential") {
        const { credential } = input.value;
        if (credential?.id !== how.value.credentialId) {
          const why = `is not the action's credential, ${how.value.credentialId}`;
          refuseField(ResolveActionRequestSchema, "credential.credential.id", "action.other", why);
        }
        await context.edits.updateCredential(input.value);
      }
      return { pins: await pinsOf(context, situation, plan.courier.credentialId) };
    }
    case "patchCourier":
    case "archiveToFile": {
      if (input.case === "courier") await context.edits.checkCourier(input.value);
      const patched =
        input.case === "courier" &&
        isMasked(input.value.updateMask?.paths ?? [], "credential_id") &&
        input.value.courier?.credentialId;
      const credentialId = patched || (courier ?? plan.courier).credentialId;
      return { pins: await pinsOf(context, situation, credentialId) };
    }
    case "patchAndRestart":
      if (input.case === "courier") await context.edits.checkCourier(input.value);
      return { pins: new Map() };
    case "retryTask":
    case "retryFailedFeeds":
      return { pins: await pinsOf(context, situation, plan.courier.credentialId) };
    case "attachObject": {
      if (input.case === "replacementId") return { pins: new Map() };
      if (input.case !== "replacementKey" || input.value === "") {
        const why = "needs replacement_id or replacement_key";
        refuseField(ResolveActionRequestSchema, "resolution_id", "action.input", why);
      }
      const found = await context.pinObjects(plan.courier.credentialId, [input.value]);
      if (!found.has(input.value)) {
        const message = `replacement_key: there is no object ${input.value} in the bucket`;
        throw new ConnectError(message, Code.NotFound);
      }
      return { pins: found };
    }
    default:
      return { pins: new Map() };
  }
}

/** A bucket that can't be reached shows itself when the task is tried again, in its own words. */
async function pinsOf(
  context: EngineContext,
  situation: Situation,
  credentialId: string,
): Promise<Prepared["pins"]> {
  const keys = await failedKeys(context, situation);
  if (keys.length === 0) return new Map();
  try {
    return await context.pinObjects(credentialId, keys);
  } catch (error) {
    const [failure] = ConnectError.from(error).findDetails(StageFailureSchema);
    if (failure === undefined || failure.retry === Retry.AUTOMATIC) throw error;
    return new Map();
  }
}

async function failedKeys(context: EngineContext, { action }: Situation): Promise<string[]> {
  const failures = await openFailures(context.kysely, action);
  const keys = failures.flatMap(({ object }) =>
    object === undefined ? [] : [object.read_key === "" ? object.key : object.read_key],
  );
  return [...new Set(keys)];
}
