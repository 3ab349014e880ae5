import { Code, ConnectError } from "@connectrpc/connect";
import type { StageFailure } from "@sluice/api/control/v1/failure_pb";
import type {
  Checkpoint,
  ListResult,
  LoadObjectResult,
  TaskProgress,
} from "@sluice/api/ingest/v1/task_pb";
import type { CompleteTaskRequest } from "@sluice/api/ingest/v1/task_service_pb";
import { crashPoint } from "@sluice/errors";
import { sql } from "kysely";
import { completeFailure } from "../stage-failure.ts";
import { beginAnew } from "./actions/resume.ts";
import { type Change, inWorkflow, type StepFacts, step } from "./change.ts";
import type { EngineContext, TaskRow } from "./context.ts";
import { countLoads } from "./effects.ts";
import { isOfBytes, isOfOneObject, isRetriedAutomatically, lostWorkerFailure } from "./failure.ts";
import { keepComparison } from "./feed-comparison.ts";
import { fileWaitMs } from "./file-wait.ts";
import { recordOutcome } from "./load-records.ts";
import { completeUnit, failUnit, isFirst, leaveUnit } from "./load-unit.ts";
import { noteUnchanged } from "./loaded-files.ts";
import { freezeManifest } from "./manifest.ts";
import { joinByHash } from "./object-of-task.ts";
import { planFromJson, queryOf } from "./plan.ts";
import { progressColumns, type TaskColumns } from "./progress.ts";
import { isDraining } from "./state-machine.ts";
import { lockTask, staleAttempt, workflowOfTask } from "./task-row.ts";

/**
 * Ends a task well. Repeating it changes nothing; a stale attempt is refused with FAILED_PRECONDITION. A listing with
 * something to load into feeds that have no staging tables is not taken, and these feeds are given.
 */
export async function completeTask(
  context: EngineContext,
  request: CompleteTaskRequest,
): Promise<readonly string[]> {
  try {
    await endWell(context, request);
  } catch (error) {
    if (error instanceof StagingLacking) return error.feedIds;
    throw error;
  }
  crashPoint(`control-${request.result.case}-recorded`);
  return [];
}

/** Undoes all that was written of a listing. */
class StagingLacking extends Error {
  readonly feedIds: readonly string[];

  constructor(feedIds: readonly string[]) {
    super("feeds with something to load have no staging tables");
    this.feedIds = feedIds;
  }
}

async function endWell(context: EngineContext, request: CompleteTaskRequest): Promise<void> {
  await inWorkflow(context, await workflowOfTask(context, request.taskId), async (change) => {
    const task = await lockTask(change, request.taskId);
    if (task.state === "succeeded" && task.attempt === request.attempt) return;
    if (request.result.case === "loadUnit") {
      if (task.state !== "running" || task.attempt !== request.attempt || !isFirst(task)) {
        throw staleAttempt(task, request.attempt);
      }
      await completeUnit(context, change, task, request.result.value);
      return;
    }
    const facts = factsOfResult(change, task, request);
    // A publish is numbered after all loads.
    if (request.result.case === "publish") await joinByHash(change, task.number);
    if (request.result.case === "compare") {
      await keepComparison(change, task, request.result.value);
    }
    const event =
      request.result.case === "list"
        ? await listedEvent(change, request.attempt, request.result.value)
        : ({ type: "succeeded", attempt: request.attempt } as const);
    const next = await step(context, change, task, event, { ...facts, outcome: "succeeded" });
    if ("refused" in next) throw staleAttempt(task, request.attempt);
    if (request.result.case === "publish") await recordOutcome(change, task, request.result.value);
  });
}

function factsOfResult(change: Change, task: TaskRow, request: CompleteTaskRequest): StepFacts {
  const { result } = request;
  const kind =
    result.case === "loadObject" ? "load" : result.case === "compare" ? "publish" : result.case;
  if (kind !== task.kind) {
    throw new ConnectError(
      `result: task ${task.id} is a ${task.kind}, the result is of a ${kind}`,
      Code.InvalidArgument,
    );
  }
  if (task.state !== "running" || task.attempt !== request.attempt) {
    throw staleAttempt(task, request.attempt);
  }
  switch (result.case) {
    case "list":
      change.set.warnings.push(...result.value.warnings);
      return { task: { warnings: JSON.stringify(result.value.warnings) } };
    case "loadObject":
      return { task: loadedColumns(change, task, result.value, request.progress) };
    default:
      return { task: progressColumns(change, task, request.progress) };
  }
}

/** Ended loads have read everything there was, whatever the last report said. */
function loadedColumns(
  change: Change,
  task: TaskRow,
  result: LoadObjectResult,
  progress: TaskProgress | undefined,
): TaskColumns {
  const checkpoint: Checkpoint | undefined = result.checkpoint;
  const columns = progressColumns(
    change,
    task,
    progress,
    checkpoint,
    checkpoint === undefined
      ? undefined
      : {
          bytesRead: task.bytes_total,
          rows: Number(checkpoint.rows),
          rejectedRows: Number(checkpoint.rejectedRows),
        },
  );
  return { ...columns, route: result.route, warnings: JSON.stringify(result.warnings) };
}

async function listedEvent(
  change: Change,
  attempt: number,
  result: ListResult,
): Promise<{
  readonly type: "listed";
  readonly attempt: number;
  readonly loads: number;
  readonly publishes: number;
}> {
  await joinByHash(change, Number(result.objects));
  await freezeManifest(change, attempt, Number(result.objects));
  const plan = planFromJson(change.workflow.plan);
  await noteUnchanged(change, plan);
  const found = [...(await countLoads(change, plan))].filter(([, { loads }]) => loads > 0);
  const staged = new Set(result.staged?.feedIds);
  const lacking = found.map(([feedId]) => feedId).filter((feedId) => !staged.has(feedId));
  if (result.staged !== undefined && lacking.length > 0) throw new StagingLacking(lacking);
  return {
    type: "listed",
    attempt,
    // A query over files is one load more.
    loads: found.reduce(
      (sum, [feedId, { loads }]) => sum + loads + (queryOf(plan, feedId) === undefined ? 0 : 1),
      0,
    ),
    publishes: found.length,
  };
}

/**
 * Ends an attempt badly, and says whether there will be another. Repeating it gives the same answer
 * until the next attempt is claimed.
 */
export async function failAttempt(
  context: EngineContext,
  failed: {
    readonly taskId: string;
    readonly attempt: number;
    readonly failure: StageFailure;
    readonly progress?: TaskProgress | undefined;
    /** Of a task of a unit: whether the failure is of its object alone. */
    readonly isAlone?: boolean;
  },
): Promise<boolean> {
  const { taskId, attempt, progress } = failed;
  const failure = completeFailure(failed.failure);
  return await inWorkflow(context, await workflowOfTask(context, taskId), async (change) => {
    const task = await lockTask(change, taskId);
    if (task.state !== "running" && task.attempt === attempt) {
      const record = await change.trx
        .selectFrom("attempt")
        .select("outcome")
        .where("tenant", "=", change.tenant)
        .where("task_id", "=", taskId)
        .where("number", "=", attempt)
        .executeTakeFirst();
      if (record?.outcome === "failed") return task.state === "waiting";
    }
    if (task.state !== "running" || task.attempt !== attempt) throw staleAttempt(task, attempt);
    if (task.unit !== null) {
      if (failed.isAlone === true) await leaveUnit(context, change, task);
      else {
        if (!isFirst(task)) throw staleAttempt(task, attempt);
        await failUnit(context, change, task, failure);
        return true;
      }
    }
    const waitMs = await fileWaitMs(context, change, task, failure);
    const next = await step(
      context,
      change,
      task,
      {
        type: "failed",
        attempt,
        // While everything is being stopped, one of many files that fail together is no news.
        retry:
          isRetriedAutomatically(failure) ||
          (task.unit !== null && isDraining(change.condition.state)),
        // A query waits for its files: without one of them there is nothing to go on with.
        isAlone: task.variant === "" && isOfOneObject(failure),
        ...(waitMs === undefined ? {} : { waitMs }),
      },
      { outcome: "failed", failure, task: progressColumns(change, task, progress) },
    );
    if ("refused" in next) throw staleAttempt(task, attempt);
    const isTriedAgain = next.task?.state === "waiting";
    if (isTriedAgain && task.kind === "load" && isOfBytes(failure)) {
      await beginAnew(change, [await lockTask(change, taskId)]);
    }
    return isTriedAgain;
  });
}

/**
 * Takes the leases that ran out from their workers; each counts as an attempt, and the checkpoint
 * stays. Gives the time until the next one runs out unless it is renewed, in milliseconds; undefined
 * when there is none.
 */
export async function takeLostLeases(context: EngineContext): Promise<number | undefined> {
  const lost = await context.kysely
    .selectFrom("task")
    .select(["id", "workflow_id", "attempt", "worker"])
    .where("tenant", "=", context.tenant())
    .where("state", "=", "running")
    .where("lease_expire_time", "<", sql<Date>`clock_timestamp()`)
    .orderBy("lease_expire_time")
    .limit(100)
    .execute();
  for (const { id, workflow_id, attempt, worker } of lost) {
    const lease = { taskId: id, workflowId: workflow_id, attempt, onlyExpired: true };
    if (await loseLease(context, lease)) {
      context.onLeaseLost?.();
      const workflow = workflow_id;
      context.log.warn({ task: id, workflow, attempt, worker }, "a lease ran out");
    }
  }
  const { left } = await context.kysely
    .selectFrom("task")
    .select(
      sql<number | null>`(extract(epoch from min(lease_expire_time) - clock_timestamp())
        * 1000)::double precision`.as("left"),
    )
    .where("tenant", "=", context.tenant())
    .where("state", "=", "running")
    .executeTakeFirstOrThrow();
  return left ?? undefined;
}

/** Takes one lease from its worker; false when it was renewed, or the attempt ended, in the meantime. */
export async function loseLease(
  context: EngineContext,
  lease: {
    readonly taskId: string;
    readonly workflowId: string;
    readonly attempt: number;
    readonly onlyExpired: boolean;
  },
): Promise<boolean> {
  return await inWorkflow(context, lease.workflowId, async (change) => {
    const task = await lockTask(change, lease.taskId);
    if (lease.onlyExpired && !(await isExpired(change, task))) return false;
    if (task.unit !== null) {
      if (task.state !== "running" || task.attempt !== lease.attempt) return false;
      await failUnit(context, change, task, "lost");
      return true;
    }
    const next = await step(
      context,
      change,
      task,
      { type: "leaseLost", attempt: lease.attempt },
      { outcome: "lost", failure: lostWorkerFailure(task.kind) },
    );
    return !("refused" in next);
  });
}

async function isExpired(change: Change, task: TaskRow): Promise<boolean> {
  const row = await change.trx
    .selectFrom("task")
    .select(sql<boolean>`lease_expire_time < clock_timestamp()`.as("expired"))
    .where("tenant", "=", change.tenant)
    .where("id", "=", task.id)
    .executeTakeFirst();
  return row?.expired === true;
}
