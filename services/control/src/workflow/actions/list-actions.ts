import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Action } from "@sluice/api/control/v1/action_pb";
import type {
  ListActionsRequest,
  ListActionsResponseSchema,
} from "@sluice/api/control/v1/workflow_service_pb";
import { toPage } from "../../resources/page.ts";
import type { EngineContext } from "../context.ts";
import { belowNumber } from "../page-number.ts";
import { readRow } from "../read-workflow.ts";
import { toAction } from "./action-message.ts";
import { readAction } from "./action-rows.ts";
import { readSituation } from "./situation.ts";

/** All actions of a workflow, or the open ones of all, newest first. NOT_FOUND when there is no such workflow. */
export async function listActions(
  context: EngineContext,
  request: ListActionsRequest,
): Promise<MessageInitShape<typeof ListActionsResponseSchema>> {
  const page = toPage(request, ["actions", request.workflowId]);
  const below = belowNumber(page);
  if (request.workflowId !== "") await readRow(context, request.workflowId);
  let query = context.kysely
    .selectFrom("action")
    .selectAll()
    .where("tenant", "=", context.tenant())
    .orderBy("number", "desc")
    .limit(page.size + 1);
  if (below !== undefined) query = query.where("number", "<", below);
  query =
    request.workflowId === ""
      ? query.where("state", "=", "open")
      : query.where("workflow_id", "=", request.workflowId);
  const { rows, nextPageToken } = page.cut(await query.execute(), (row) => [String(row.number)]);
  const actions: Action[] = [];
  for (const row of rows) actions.push(toAction(await readSituation(context.kysely, row)));
  return { actions, nextPageToken };
}

export async function getAction(context: EngineContext, id: string): Promise<Action> {
  const row = await readAction(context.kysely, context.tenant(), id);
  return toAction(await readSituation(context.kysely, row));
}
