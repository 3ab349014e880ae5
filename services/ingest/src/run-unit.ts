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
  onFirst: (taskId: string) => void,
): Promise<UnitResult> {
  let { tasks } = work;
  for (;;) {
    const outcome = await context.threads.runUnit(toBytes(lease, work, tasks), signal);
    if (outcome.kind === "loaded") {
      return {
        case: "loadUnit",
        value: { tasks: tasks.map(({ taskId }, at) => toResult(taskId, outcome.files[at])) },
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
