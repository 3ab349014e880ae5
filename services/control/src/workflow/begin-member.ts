import { makeId } from "../resources/identity.ts";
import { insertWorkflow } from "./begin-workflow.ts";
import type { EngineContext, Trx } from "./context.ts";
import type { Days } from "./days.ts";
import { readPlan } from "./run-courier.ts";

/** One courier of a group's run. */
export interface NewMember {
  readonly courierId: string;
  readonly days: Days;
  /** Whether it runs for every object there is, whatever the days. */
  readonly everything: boolean;
  /** Whether a required file need be there on one of the days only. */
  readonly anyDay: boolean;
  readonly groupRunId: string;
  /** Until then, a list that misses files is tried again. */
  readonly filesWaitUntil: Date;
  /** Whether the run only loads. */
  readonly ingestOnly: boolean;
}

/** Writes the workflow of a group's courier into the group's own transaction, and gives its id. */
export async function beginMember(
  context: EngineContext,
  trx: Trx,
  { courierId, days, everything, anyDay, groupRunId, filesWaitUntil, ingestOnly }: NewMember,
): Promise<string> {
  const tenant = context.tenant();
  const plan = { ...(await readPlan(trx, tenant, courierId)), anyDay };
  const id = makeId("wf");
  await insertWorkflow(trx, tenant, id, {
    days,
    options: { everything, ingestOnly },
    plan,
    groupRun: { id: groupRunId, filesWaitUntil },
  });
  return id;
}
