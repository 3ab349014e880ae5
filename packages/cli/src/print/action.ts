import { type Action, Action_StateSchema } from "@sluice/api/control/v1/action_pb";
import { ActionKindSchema } from "@sluice/api/control/v1/failure_pb";
import { shortEnum } from "../values.ts";
import { renderFailure } from "./failure.ts";
import { toTable, visible } from "./table.ts";

/** What a person is asked to do, for people: the failure, the steps to read, the ways out. */
export function renderAction(action: Action): string {
  const { id, kind, state, workflowId, failure, steps, resolutions } = action;
  const head = `${id}  ${shortEnum(ActionKindSchema, kind)}  ${shortEnum(Action_StateSchema, state)}  of ${workflowId}\n`;
  return [
    visible(head.trimEnd()),
    "\n\n",
    failure === undefined ? "" : renderFailure(failure),
    steps.length === 0 ? "" : "\n",
    ...steps.map((text, index) => `${index + 1}. ${visible(text)}\n`),
    "\n",
    toTable(
      ["resolution", "what it does"],
      resolutions.map((resolution) => [resolution.id, resolution.title]),
    ),
  ].join("");
}
