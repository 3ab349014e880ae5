import type { Checkpoint, TaskProgress } from "@sluice/api/ingest/v1/task_pb";
import { sql, type Updateable, type UpdateObject } from "kysely";
import type { Schema, TaskTable } from "../database/schema.ts";
import type { Change } from "./change.ts";
import type { TaskRow } from "./context.ts";

/** Columns of a task to set. */
export type TaskColumns = UpdateObject<Schema, "task", "task">;

interface Counts {
  readonly bytesRead: number;
  readonly rows: number;
  readonly rejectedRows: number;
}

/** Whether a checkpoint says that more is durable than was known. It only ever grows. */
export function isAhead(task: Pick<TaskRow, "done_batches">, checkpoint: Checkpoint): boolean {
  return Number(checkpoint.batches) > task.done_batches;
}

/**
 * The columns of a task that a report changes, and the workflow's sums with them: sums are kept over
 * loads. `counts` stand instead of the report's where they are known better.
 */
export function progressColumns(
  change: Change,
  task: TaskRow,
  report: TaskProgress | undefined,
  checkpoint: Checkpoint | undefined = report?.checkpoint,
  counts?: Counts,
): TaskColumns {
  const progress = report?.progress;
  const columns: Updateable<TaskTable> = {};
  if (checkpoint !== undefined && isAhead(task, checkpoint)) {
    columns.done_batches = Number(checkpoint.batches);
    columns.done_rows = Number(checkpoint.rows);
    columns.done_rejected_rows = Number(checkpoint.rejectedRows);
  }
  if (progress !== undefined) {
    columns.stage = progress.stage;
    columns.rows_per_second = progress.rowsPerSecond;
    if (progress.bytesTotal > 0n) columns.bytes_total = Number(progress.bytesTotal);
    if (progress.stage !== 0) change.set.stage = progress.stage;
  }
  const known: Counts | undefined =
    counts ??
    (progress === undefined
      ? undefined
      : {
          bytesRead: Number(progress.bytesRead),
          rows: Number(progress.rows),
          rejectedRows: Number(progress.rejectedRows),
        });
  if (known !== undefined) {
    columns.bytes_read = known.bytesRead;
    columns.rows = known.rows;
    columns.rejected_rows = known.rejectedRows;
  }
  if (task.kind === "load") addToSums(change, task, columns, known);
  return { ...columns, progress_time: sql<Date>`clock_timestamp()` };
}

function addToSums(
  change: Change,
  task: TaskRow,
  columns: Updateable<TaskTable>,
  known: Counts | undefined,
): void {
  if (typeof columns.bytes_total === "number") {
    change.set.bytesTotal += columns.bytes_total - task.bytes_total;
  }
  if (known === undefined) return;
  change.set.bytesRead += known.bytesRead - task.bytes_read;
  change.set.rows += known.rows - task.rows;
  change.set.rejectedRows += known.rejectedRows - task.rejected_rows;
}
