import { durationMs, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import type { Lease } from "@sluice/api/ingest/v1/task_pb";
import type { ClaimTasksRequest, TaskService } from "@sluice/api/ingest/v1/task_service_pb";
import { sql } from "kysely";
import { claimForAll } from "./claim.ts";
import type { EngineContext } from "./context.ts";
import { heartbeat } from "./heartbeat.ts";
import { appendManifest } from "./manifest.ts";
import { recordPublishIntent } from "./publish-intent.ts";
import { FINAL_STATES } from "./state-machine.ts";
import { completeTask, failAttempt, loseLease } from "./task-outcome.ts";
import { inTenantOfTask } from "./task-row.ts";

/** Hands tasks out to workers and takes their results. */
export function createTaskService(context: EngineContext): ServiceImpl<typeof TaskService> {
  // Claims of one process take turns: at once they would all reach for the same tasks.
  let lastClaim: Promise<unknown> = Promise.resolve();
  const claimInTurn = (workerId: string, capacity: number): Promise<Lease[]> => {
    const claim = lastClaim.then(() => claimForAll(context, workerId, capacity));
    lastClaim = claim.catch(() => undefined);
    return claim;
  };
  return {
    async claimTasks(request, call) {
      await context.recordWorker(request.workerId, request.inspectUrl);
      return { leases: await waitForTasks(context, request, call.signal, claimInTurn) };
    },
    async heartbeat(request) {
      const { stop, expireTime } = await inTenantOfTask(context, request.taskId, () =>
        heartbeat(context, request),
      );
      return { stop, expireTime: timestampFromDate(expireTime) };
    },
    async appendManifest(request) {
      await inTenantOfTask(context, request.taskId, () => appendManifest(context, request));
      return {};
    },
    async recordPublishIntent(request) {
      const intent = await inTenantOfTask(context, request.taskId, () =>
        recordPublishIntent(context, request),
      );
      return { intent };
    },
    async completeTask(request) {
      const lacking = await inTenantOfTask(context, request.taskId, () =>
        completeTask(context, request),
      );
      return { feedIdsWithoutStaging: [...lacking] };
    },
    async failTask(request) {
      const { taskId, attempt, failure, progress, alone: isAlone } = request;
      if (failure === undefined)
        throw new ConnectError("failure: is required", Code.InvalidArgument);
      const willRetry = await inTenantOfTask(context, taskId, () =>
        failAttempt(context, { taskId, attempt, failure, progress, isAlone }),
      );
      return { willRetry };
    },
    async findEndedWorkflows({ workflowIds }) {
      return { workflowIds: await findEnded(context, workflowIds) };
    },
  };
}

/** Those of some workflows that are over, of whichever tenants: a worker's credential names none. */
async function findEnded({ kysely }: EngineContext, ids: readonly string[]): Promise<string[]> {
  const found = await kysely
    .selectFrom("workflow")
    .select("id")
    .where(sql<boolean>`id = any(${ids}::text[])`)
    .where("state", "in", FINAL_STATES)
    .execute();
  return found.map(({ id }) => id);
}

/**
 * Claims until there is a task or the time is up. A task made by this process wakes it at once; one
 * made by another replica is seen at the next poll.
 */
async function waitForTasks(
  context: EngineContext,
  request: ClaimTasksRequest,
  caller: AbortSignal,
  claim: (workerId: string, capacity: number) => Promise<Lease[]>,
): Promise<Lease[]> {
  const waitMs = request.wait === undefined ? 0 : durationMs(request.wait);
  const end = performance.now() + waitMs;
  for (;;) {
    const seen = context.taskBell.rung;
    if (caller.aborted || context.stopped.aborted) return [];
    const leases = await claim(request.workerId, request.capacity);
    if (caller.aborted) {
      await giveBack(context, leases);
      return [];
    }
    const leftMs = end - performance.now();
    if (leases.length > 0 || leftMs <= 0) return leases;
    await context.taskBell.after(seen, Math.min(leftMs, context.pollMs), caller, context.stopped);
  }
}

/** A caller that is gone never hears of its leases: they end here, not when they run out. */
async function giveBack(context: EngineContext, leases: readonly Lease[]): Promise<void> {
  for (const { taskId, workflowId, attempt } of leases) {
    await inTenantOfTask(context, taskId, () =>
      loseLease(context, { taskId, workflowId, attempt, onlyExpired: false }),
    );
  }
}
