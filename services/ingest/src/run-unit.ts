import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import {
  type Lease,
  LeaseSchema,
  type LoadUnitWork,
  LoadUnitWorkSchema,
  type UnitTask,
} from "@sluice/api/ingest/v1/task_pb";
import { type CompleteTaskRequestSchema, TaskService } from "@sluice/api/ingest/v1/task_service_pb";
import { LeaseLost } from "./lease-keeper.ts";
import type { UnitFile } from "./load-unit.ts";
import type { DurableState, TaskWatch } from "./telemetry/worker-watch.ts";
import { tellUntilHeard } from "./tell-until-heard.ts";
import { toStageFailure } from "./to-proto.ts";
import type { WorkerContext } from "./worker.ts";

type UnitResult = Extract<
  NonNullable<MessageInitShape<typeof CompleteTaskRequestSchema>["result"]>,
  { case: "loadUnit" }
>;

/**
 * Loads small objects together. Those that fail by themselves are told one by one, before anything is sent, and the
 * others are loaded without them; `onFirst` hears whose lease it is from then on. Throws LeaseLost when none is left.
 */
export async function runUnit(
  lease: Lease,
  work: LoadUnitWork,
  context: WorkerContext,
  signal: AbortSignal,
  watch: TaskWatch,
  onFirst: (taskId: string) => void,
): Promise<UnitResult> {
  let { tasks } = work;
  for (;;) {
    watch.begins();
    const outcome = await context.threads.runUnit(toBytes(lease, work, tasks), {
      signal,
      onReport: (report) => watch.report(report),
    });
    if (outcome.kind === "loaded") {
      const { files, time } = outcome;
      if (time !== undefined && context.config.metersStages)
        context.log.info({ task: tasks[0]?.taskId, time }, "time of the stages");
      return {
        case: "loadUnit",
        value: { tasks: tasks.map(({ taskId }, at) => toResult(taskId, files[at])) },
      };
    }
    const failed = new Set(outcome.failures.map(({ at }) => at));
    const others = tasks.filter((_, at) => !failed.has(at));
    const [first] = others;
    if (first !== undefined) onFirst(first.taskId);
    for (const { at, failure, technical } of outcome.failures) {
      const { taskId, attempt } = tasks[at] ?? {};
      if (taskId === undefined || attempt === undefined) throw new Error(`there is no task ${at}`);
      const { stage, code } = failure;
      watch.failedAlone(failure);
      context.log.warn({ task: taskId, attempt, stage, code, technical }, "attempt failed");
      await tellUntilHeard(signal, () =>
        context.client.call(
          TaskService.method.failTask,
          { taskId, attempt, failure: toStageFailure(failure), alone: true },
          { timeoutMs: 30_000, signal },
        ),
      );
      // What an earlier attempt may have sent together is taken back, and loaded one by one.
      if (attempt > 1) throw new LeaseLost("the unit was given up");
    }
    if (others.length === 0) throw new LeaseLost("nothing of the unit is left");
    tasks = others;
  }
}

/** What became durable with a unit, for whoever counts it. */
export function unitState(work: LoadUnitWork, { value }: UnitResult): DurableState {
  const checkpoint = { batches: 1, rows: 0, rejected: 0 };
  const loaded = new Set<string>();
  for (const { taskId, result } of value.tasks ?? []) {
    loaded.add(taskId ?? "");
    checkpoint.rows += Number(result?.checkpoint?.rows ?? 0);
    checkpoint.rejected += Number(result?.checkpoint?.rejectedRows ?? 0);
  }
  const bytesRead = work.tasks
    .filter(({ taskId }) => loaded.has(taskId))
    .reduce((sum, { object }) => sum + Number(object?.size ?? 0), 0);
  return { bytesRead, checkpoint };
}

/** The lease of what is left, as a load thread takes it. */
function toBytes(
  lease: Lease,
  { common }: LoadUnitWork,
  tasks: UnitTask[],
): Uint8Array<ArrayBuffer> {
  const value = create(LoadUnitWorkSchema, { tasks, ...(common && { common }) });
  return toBinary(
    LeaseSchema,
    create(LeaseSchema, { workflowId: lease.workflowId, work: { case: "loadUnit", value } }),
  );
}

function toResult(
  taskId: string,
  file: UnitFile | undefined,
): NonNullable<Exclude<UnitResult["value"], { $typeName: string }>["tasks"]>[number] {
  if (file === undefined) throw new Error(`nothing is known of task ${taskId}`);
  const { rows, rejected, route, warnings } = file;
  return {
    taskId,
    result: {
      checkpoint: { batches: 1n, rows: BigInt(rows), rejectedRows: BigInt(rejected) },
      route,
      warnings: [...warnings],
    },
  };
}
