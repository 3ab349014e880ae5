import { createHash } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { type Action, Action_State, ActionSchema } from "@sluice/api/control/v1/action_pb";
import type { ActionRow } from "./action-rows.ts";
import { resolutionsOf } from "./resolutions.ts";
import type { Situation } from "./situation.ts";
import { stepsOf } from "./steps.ts";

const STATES: Record<ActionRow["state"], Action_State> = {
  open: Action_State.OPEN,
  resolved: Action_State.RESOLVED,
  stale: Action_State.STALE,
};

/** An action as the API shows it. What can't be resolved offers nothing. */
export function toAction(situation: Situation): Action {
  const { action, failure, workflow } = situation;
  return create(ActionSchema, {
    id: action.id,
    workflowId: action.workflow_id,
    taskId: action.task_id,
    courierId: workflow.courier_id,
    kind: action.kind,
    failure,
    steps: stepsOf(situation),
    resolutions: action.state === "open" ? resolutionsOf(situation) : [],
    state: STATES[action.state],
    etag: etagOf(situation),
    createTime: timestampFromDate(action.create_time),
    resolutionId: action.resolution_id,
    restartedAs: action.restarted_as,
    ...(action.end_time === null ? {} : { endTime: timestampFromDate(action.end_time) }),
  });
}

/** Changes with the action, and with the courier that its resolutions would change. */
export function etagOf({ action, courier }: Situation): string {
  const parts = [action.etag, action.state === "open" ? (courier?.etag ?? "") : ""];
  return createHash("sha256").update(JSON.stringify(parts)).digest("base64url").slice(0, 16);
}
