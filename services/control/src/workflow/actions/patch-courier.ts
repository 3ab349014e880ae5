import { create } from "@bufbuild/protobuf";
import type { PatchCourier } from "@sluice/api/control/v1/action_pb";
import {
  type UpdateCourierRequest,
  UpdateCourierRequestSchema,
} from "@sluice/api/control/v1/courier_service_pb";
import {
  type ResolveActionRequest,
  ResolveActionRequestSchema,
} from "@sluice/api/control/v1/workflow_service_pb";
import { refuseField } from "../../server/field-violations.ts";
import type { EngineContext, Trx } from "../context.ts";

/**
 * Changes the courier, by what the caller says or else by what is proposed; leaves it as it is when neither says anything.
 * INVALID_ARGUMENT for another courier than the workflow's, and what a change of a courier is refused with.
 */
export async function patchCourier(
  context: EngineContext,
  trx: Trx,
  request: ResolveActionRequest,
  proposed: PatchCourier,
): Promise<void> {
  const update = courierUpdate(request, proposed);
  if (update !== undefined) await context.edits.updateCourier(trx, update);
}

function courierUpdate(
  { input }: ResolveActionRequest,
  { courierId, etag, updateMask, courier }: PatchCourier,
): UpdateCourierRequest | undefined {
  if (input.case === "courier") {
    if (input.value.courier?.id !== courierId) {
      const why = `is not the workflow's courier, ${courierId}`;
      refuseField(ResolveActionRequestSchema, "courier.courier.id", "action.other", why);
    }
    return input.value;
  }
  if (courier === undefined) return undefined;
  return create(UpdateCourierRequestSchema, {
    courier: { ...courier, id: courierId, etag },
    ...(updateMask === undefined ? {} : { updateMask }),
  });
}
