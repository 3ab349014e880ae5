import { TaskService } from "@sluice/api/ingest/v1/task_service_pb";
import { dropPrivate, findPrivate, type PrivatePlace } from "@sluice/load";
import { pause } from "./tell-until-heard.ts";
import type { WorkerContext } from "./worker.ts";

/** Between two looks: what is left behind is gone within five minutes, whichever worker looks. */
const SWEEP_MS = 120_000;

/** Workflows in one question. */
const PAGE = 1_000;

/** Looks for what was left behind, again and again, until `signal` aborts. */
export async function sweepLeftovers(
  context: Pick<WorkerContext, "client" | "warehouse" | "log">,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    // Workers that were started together look at different moments.
    await pause(SWEEP_MS * (0.5 + Math.random()), signal);
    if (signal.aborted) return;
    try {
      const dropped = await dropLeftovers(context, signal);
      for (const place of dropped) context.log.warn(place, "dropped what a workflow left behind");
    } catch (error) {
      if (!signal.aborted) context.log.warn({ err: error }, "leftovers were not looked for");
    }
  }
}

/**
 * Drops the private tables of workflows that are over. Their discard has dropped them before; but a statement that was
 * still on its way then, or of a worker that slept, makes a table after it. Looked for first and asked about then, since
 * a workflow that is over stays so.
 */
export async function dropLeftovers(
  { client, warehouse }: Pick<WorkerContext, "client" | "warehouse">,
  signal: AbortSignal,
): Promise<readonly PrivatePlace[]> {
  const found = await findPrivate(warehouse);
  const workflowIds = [...new Set(found.map(({ workflowId }) => workflowId))];
  const ended = new Set<string>();
  for (let at = 0; at < workflowIds.length; at += PAGE) {
    const answer = await client.call(
      TaskService.method.findEndedWorkflows,
      { workflowIds: workflowIds.slice(at, at + PAGE) },
      { timeoutMs: 30_000, signal },
    );
    for (const id of answer.workflowIds) ended.add(id);
  }
  const left = found.filter(({ workflowId }) => ended.has(workflowId));
  await dropPrivate(warehouse, left);
  return left;
}
