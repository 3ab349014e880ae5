import { once } from "node:events";
import { type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { durationFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { type Lease, LeaseSchema } from "@sluice/api/ingest/v1/task_pb";
import { type CompleteTaskRequestSchema, TaskService } from "@sluice/api/ingest/v1/task_service_pb";
import { crashPoint, StageError, type StageFailure } from "@sluice/errors";
import type { PlatformSessions } from "@sluice/fetch";
import type { Warehouse } from "@sluice/load";
import type { Logger } from "pino";
import { changeTable } from "./change-table.ts";
import { compare } from "./compare.ts";
import type { IngestConfig } from "./config.ts";
import { discard } from "./discard.ts";
import type { GrpcClient } from "./grpc-client.ts";
import { ingestQuery } from "./ingest-query.ts";
import { keepLease, LeaseLost, type TaskState, TaskStopped } from "./lease-keeper.ts";
import { listObjects, withStaging } from "./list-objects.ts";
import { LoadThreadFailure, type LoadThreadPool } from "./load-thread-pool.ts";
import type { LoadState } from "./pipeline.ts";
import { publishFeed } from "./publish-feed.ts";
import { replay } from "./replay.ts";
import { runUnit, unitState } from "./run-unit.ts";
import type { TaskWatch, WorkerWatch } from "./telemetry/worker-watch.ts";
import { pause, RECONNECT_MS, tellUntilHeard } from "./tell-until-heard.ts";
import { STAGE_MESSAGES, toStageFailure } from "./to-proto.ts";

export interface WorkerContext {
  readonly config: IngestConfig;
  readonly client: GrpcClient;
  readonly warehouse: Warehouse;
  readonly threads: LoadThreadPool;
  readonly inspectUrl: string;
  readonly log: Logger;
  /** Of the platform's role, as they go from task to task. Default: each task begins its own. */
  readonly platformSessions?: PlatformSessions;
  readonly watch: WorkerWatch;
}

export type TaskResult = NonNullable<MessageInitShape<typeof CompleteTaskRequestSchema>["result"]>;

const CLAIM_WAIT_MS = 20_000;

/** Claims tasks and works on them, up to the worker's capacity, until `signal` aborts and all have ended. */
export async function runWorker(context: WorkerContext, signal: AbortSignal): Promise<void> {
  const { config, client, inspectUrl, log, watch } = context;
  const running = new Set<Promise<void>>();
  // The first call only says that there is a worker: its answer makes it ready, with or without work.
  let waitMs = 0;
  while (!signal.aborted) {
    const free = config.capacity - running.size;
    if (free === 0) {
      await Promise.race([...running, aborted(signal)]);
      continue;
    }
    try {
      const { leases } = await client.call(
        TaskService.method.claimTasks,
        {
          workerId: config.workerId,
          capacity: free,
          wait: durationFromMs(waitMs),
          inspectUrl,
        },
        { timeoutMs: CLAIM_WAIT_MS + 10_000, signal },
      );
      waitMs = CLAIM_WAIT_MS;
      watch.registered(true);
      for (const lease of leases) {
        const task = workOn(lease, context).finally(() => running.delete(task));
        running.add(task);
      }
    } catch (error) {
      if (signal.aborted) break;
      watch.registered(false);
      // When it is back it is asked without waiting, as at the start: a worker without work is ready at once.
      waitMs = 0;
      log.warn({ err: error }, "control did not answer; asking again");
      await pause(RECONNECT_MS, signal);
    }
  }
  await Promise.all(running);
}

/** One task from its lease to its end. Never rejects: what happens to it is told to control. */
async function workOn(lease: Lease, context: WorkerContext): Promise<void> {
  const { client, log } = context;
  const { attempt } = lease;
  // Of several that are loaded together the first; it may fail and leave the others.
  let { taskId } = lease;
  const watch = context.watch.task(lease);
  const leaseMs = (lease.expireTime ? timestampMs(lease.expireTime) : 0) - Date.now();
  const isUnit = lease.work.case === "loadUnit";
  let state: TaskState | undefined = isUnit
    ? undefined
    : { progress: {}, checkpoint: initialCheckpoint(lease) };
  const taskLog = log.child({
    task: taskId,
    attempt,
    workflow: lease.workflowId,
    work: lease.work.case,
  });
  using keeper = keepLease({
    client,
    lease,
    intervalMs: Math.min(1_000, Math.max(100, leaseMs / 4)),
    state: () => state,
    taskId: () => taskId,
  });
  try {
    let result =
      lease.work.case === "loadUnit"
        ? await runUnit(lease, lease.work.value, context, keeper.signal, watch, (first) => {
            taskId = first;
          })
        : await perform(lease, context, keeper.signal, watch, (next) => {
            state = toTaskState(next);
            watch.state(next);
          });
    for (;;) {
      const { feedIdsWithoutStaging } = await tellUntilHeard(keeper.signal, () =>
        client.call(
          TaskService.method.completeTask,
          { taskId, attempt, result, ...(state && { progress: state }) },
          { timeoutMs: 30_000, signal: keeper.signal },
        ),
      );
      if (feedIdsWithoutStaging.length === 0 || result.case !== "list") break;
      const value = await withStaging(lease, result.value, feedIdsWithoutStaging, context);
      result = { case: "list", value };
    }
    // Nothing of a unit is durable before its end, and a repetition sends all of it again: it is counted once, here.
    if (lease.work.case === "loadUnit" && result.case === "loadUnit")
      watch.state(unitState(lease.work.value, result));
    watch.done();
    taskLog.info("task done");
  } catch (error) {
    if (keeper.signal.aborted || error instanceof LeaseLost) {
      const isStopped = keeper.signal.reason instanceof TaskStopped;
      taskLog.info({ reason: String(keeper.signal.reason ?? error) }, "task dropped");
      watch.dropped(!isStopped);
      if (!isStopped) return;
      crashPoint("worker-stopping");
    }
    // What an aborted stage throws is its own affair: the reason is what control has to hear.
    const failure = toFailure(keeper.signal.aborted ? keeper.signal.reason : error);
    if (!keeper.signal.aborted) watch.failed(failure);
    taskLog.warn({ err: error, stage: failure.stage, code: failure.code }, "attempt failed");
    // A stopped task's lease is not renewed any more: its end is told once, and soon.
    const signal = keeper.signal.aborted
      ? AbortSignal.timeout(Math.max(1_000, leaseMs))
      : keeper.signal;
    await tellUntilHeard(signal, () =>
      client.call(
        TaskService.method.failTask,
        {
          taskId,
          attempt,
          failure: toStageFailure(failure),
          ...(state && { progress: state }),
        },
        { timeoutMs: 30_000, signal },
      ),
    ).catch((unheard: unknown) => taskLog.warn({ err: unheard }, "the failure was not heard"));
  }
}

async function perform(
  lease: Lease,
  context: WorkerContext,
  signal: AbortSignal,
  watch: TaskWatch,
  onState: (state: LoadState) => void,
): Promise<TaskResult> {
  const { work } = lease;
  switch (work.case) {
    case "list":
      return { case: "list", value: await listObjects(lease, work.value, context, signal) };
    case "loadObject": {
      const { checkpoint, route, warnings, state, time } = await context.threads.run(
        toBinary(LeaseSchema, lease),
        { signal, onState, onReport: (report) => watch.report(report) },
      );
      if (time !== undefined && context.config.metersStages)
        context.log.info({ task: lease.taskId, time }, "time of the stages");
      onState(state);
      crashPoint("worker-load-done");
      return {
        case: "loadObject",
        value: { checkpoint: toCheckpoint(checkpoint), route, warnings: [...warnings] },
      };
    }
    case "replayRejects":
      return { case: "loadObject", value: await replay(lease, work.value, context, signal) };
    case "publish": {
      const { change } = work.value;
      const value = await (change === undefined
        ? publishFeed(lease, work.value, context, signal)
        : changeTable(lease, work.value, change, context, signal));
      return { case: "publish", value };
    }
    case "ingestQuery":
      return { case: "loadObject", value: await ingestQuery(lease, work.value, context, signal) };
    case "compare":
      return { case: "compare", value: await compare(lease, work.value, context, signal) };
    case "discard":
      return { case: "discard", value: await discard(lease, work.value, context) };
    default:
      throw new StageError("load", "rejected", "control sent work that this worker does not know");
  }
}

function initialCheckpoint(lease: Lease): TaskState["checkpoint"] {
  return (lease.work.case === "loadObject" && lease.work.value.checkpoint) || {};
}

function toCheckpoint({
  batches,
  rows,
  rejected,
}: LoadState["checkpoint"]): TaskState["checkpoint"] {
  return {
    batches: BigInt(batches),
    rows: BigInt(rows),
    rejectedRows: BigInt(rejected),
  };
}

function toTaskState(state: LoadState): TaskState {
  const { checkpoint, elapsedMs } = state;
  return {
    checkpoint: toCheckpoint(checkpoint),
    progress: {
      stage: STAGE_MESSAGES[state.stage],
      bytesRead: BigInt(state.bytesRead),
      bytesTotal: BigInt(state.bytesTotal),
      rows: BigInt(checkpoint.rows),
      rejectedRows: BigInt(checkpoint.rejected),
      rowsPerSecond: elapsedMs > 0 ? (checkpoint.rows * 1000) / elapsedMs : 0,
      elapsed: durationFromMs(Math.round(elapsedMs)),
    },
  };
}

function toFailure(error: unknown): StageFailure {
  if (error instanceof LoadThreadFailure) return error.failure;
  if (error instanceof LeaseLost) {
    return new StageError("load", "worker_lost", error.message, { cause: error }).toFailure();
  }
  if (error instanceof StageError) return error.toFailure();
  const message = "the worker could not go on with this task";
  return new StageError("load", "unavailable", message, { cause: error }).toFailure();
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, "abort");
}
