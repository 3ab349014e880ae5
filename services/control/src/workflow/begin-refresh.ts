import { makeId } from "../resources/identity.ts";
import { insertWorkflow } from "./begin-workflow.ts";
import type { EngineContext, Trx } from "./context.ts";
import { customTableWorkflow } from "./table-changes.ts";

/** A custom domain table that a group's run publishes anew. */
export interface NewRefresh {
  readonly customTableId: string;
  readonly groupRunId: string;
}

/** Writes the workflow that publishes a custom domain table into the run's own transaction, and gives its id. */
export async function beginRefresh(
  context: EngineContext,
  trx: Trx,
  { customTableId, groupRunId }: NewRefresh,
): Promise<string> {
  const tenant = context.tenant();
  const id = makeId("wf");
  const workflow = await customTableWorkflow(trx, tenant, customTableId);
  await insertWorkflow(trx, tenant, id, { ...workflow, groupRun: { id: groupRunId } });
  return id;
}
