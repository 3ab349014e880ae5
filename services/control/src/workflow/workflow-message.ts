import { create, type JsonValue } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  type Attempt,
  AttemptSchema,
  type Progress,
  ProgressSchema,
  type Task,
  Task_Kind,
  Task_State,
  TaskSchema,
  type Workflow,
  Workflow_State,
  WorkflowSchema,
} from "@sluice/api/control/v1/workflow_pb";
import type { Selectable } from "kysely";
import type { AttemptTable } from "../database/schema.ts";
import type { TaskRow, WorkflowRow } from "./context.ts";
import { failureFromJson } from "./failure.ts";
import type { WorkflowState } from "./state-machine.ts";
import type { TaskKind, TaskState } from "./tally.ts";

export type AttemptRow = Selectable<AttemptTable>;

const WORKFLOW_STATES: Record<WorkflowState, Workflow_State> = {
  scheduled: Workflow_State.SCHEDULED,
  running: Workflow_State.RUNNING,
  finalizing: Workflow_State.FINALIZING,
  failing: Workflow_State.RUNNING_WITH_FAILURES,
  stopping: Workflow_State.STOPPING,
  failed: Workflow_State.FAILED,
  succeeded: Workflow_State.SUCCEEDED,
  skipped: Workflow_State.SKIPPED,
  stopped: Workflow_State.STOPPED,
  abandoned: Workflow_State.FAILED,
};

const TASK_KINDS: Record<TaskKind, Task_Kind> = {
  list: Task_Kind.LIST,
  load: Task_Kind.LOAD_OBJECT,
  publish: Task_Kind.PUBLISH,
  discard: Task_Kind.DISCARD,
};

const TASK_STATES: Record<TaskState, Task_State> = {
  waiting: Task_State.WAITING,
  running: Task_State.RUNNING,
  succeeded: Task_State.SUCCEEDED,
  failed: Task_State.FAILED,
  canceled: Task_State.CANCELED,
  skipped: Task_State.SKIPPED,
};

export function toWorkflow(row: WorkflowRow, tasks: readonly Task[], now: Date): Workflow {
  const elapsedMs = elapsed(row.start_time, row.end_time, now);
  return create(WorkflowSchema, {
    id: row.id,
    courierId: row.courier_id,
    courierName: row.courier_name,
    state:
      row.state === "running" && row.failure !== null
        ? Workflow_State.RUNNING_WITH_FAILURES
        : WORKFLOW_STATES[row.state],
    startDate: row.start_date,
    endDate: row.end_date,
    tasks: [...tasks],
    totals: toProgress(row, elapsedMs, elapsedMs === 0 ? 0 : (row.rows * 1000) / elapsedMs),
    warnings: texts(row.warnings),
    groupRunId: row.group_run_id ?? "",
    everything: row.everything,
    ingestOnly: row.ingest_only,
    skipMissingFiles: row.skip_missing_files,
    reloadUnchanged: row.reload_unchanged,
    createTime: timestampFromDate(row.create_time),
    ...(row.failure === null ? {} : { failure: failureFromJson(row.failure) }),
    ...(row.start_time === null ? {} : { startTime: timestampFromDate(row.start_time) }),
    ...(row.end_time === null ? {} : { endTime: timestampFromDate(row.end_time) }),
    ...(row.expire_time === null ? {} : { resumableUntil: timestampFromDate(row.expire_time) }),
  });
}

/** What of a task its message is made of: half of its columns, of thousands of rows. */
export type ShownTask = Pick<
  TaskRow,
  | "id"
  | "kind"
  | "variant"
  | "state"
  | "is_skipped"
  | "key"
  | "date"
  | "feed_id"
  | "attempt"
  | "stage"
  | "bytes_read"
  | "bytes_total"
  | "rows"
  | "rejected_rows"
  | "rows_per_second"
  | "first_start_time"
  | "end_time"
  | "route"
  | "warnings"
>;

export const SHOWN_COLUMNS: readonly (keyof ShownTask)[] = [
  "id",
  "kind",
  "variant",
  "state",
  "is_skipped",
  "key",
  "date",
  "feed_id",
  "attempt",
  "stage",
  "bytes_read",
  "bytes_total",
  "rows",
  "rejected_rows",
  "rows_per_second",
  "first_start_time",
  "end_time",
  "route",
  "warnings",
];

export function toTask(row: ShownTask, attempts: readonly AttemptRow[], now: Date): Task {
  return create(TaskSchema, {
    id: row.id,
    kind: toKind(row),
    state: TASK_STATES[row.is_skipped && row.state === "succeeded" ? "skipped" : row.state],
    key: row.key,
    date: row.date,
    feedId: row.feed_id ?? "",
    attempts: attempts.map(toAttempt),
    progress: toProgress(
      row,
      elapsed(row.first_start_time, row.end_time, now),
      row.rows_per_second,
    ),
    route: row.route,
    warnings: texts(row.warnings),
  });
}

function toKind({ kind, variant, key }: ShownTask): Task_Kind {
  if (variant === "query") return Task_Kind.INGEST_QUERY;
  if (variant === "compare") return Task_Kind.COMPARE;
  // A load without an object is one of rejects.
  return kind === "load" && key === "" ? Task_Kind.REPLAY_REJECTS : TASK_KINDS[kind];
}

function toAttempt(row: AttemptRow): Attempt {
  return create(AttemptSchema, {
    number: row.number,
    worker: row.worker,
    startTime: timestampFromDate(row.start_time),
    ...(row.end_time === null ? {} : { endTime: timestampFromDate(row.end_time) }),
    ...(row.failure === null ? {} : { failure: failureFromJson(row.failure) }),
  });
}

function toProgress(
  row: Pick<TaskRow, "stage" | "bytes_read" | "bytes_total" | "rows" | "rejected_rows">,
  elapsedMs: number,
  rowsPerSecond: number,
): Progress {
  return create(ProgressSchema, {
    stage: row.stage,
    bytesRead: BigInt(row.bytes_read),
    bytesTotal: BigInt(row.bytes_total),
    rows: BigInt(row.rows),
    rejectedRows: BigInt(row.rejected_rows),
    rowsPerSecond,
    elapsed: durationFromMs(elapsedMs),
  });
}

function elapsed(start: Date | null, end: Date | null, now: Date): number {
  return start === null ? 0 : Math.max(0, (end ?? now).getTime() - start.getTime());
}

function texts(json: JsonValue): string[] {
  return Array.isArray(json) ? json.filter((item) => typeof item === "string") : [];
}
