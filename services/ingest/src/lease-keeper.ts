import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { status } from "@grpc/grpc-js";
import type { ProgressSchema } from "@sluice/api/control/v1/workflow_pb";
import type { CheckpointSchema, Lease } from "@sluice/api/ingest/v1/task_pb";
import { TaskService } from "@sluice/api/ingest/v1/task_service_pb";
import type { GrpcClient } from "./grpc-client.ts";

/** How far a task is: what heartbeats tell. */
export interface TaskState {
  readonly progress: MessageInitShape<typeof ProgressSchema>;
  readonly checkpoint: MessageInitShape<typeof CheckpointSchema>;
}

/** Why a task has to be dropped without a word: nobody waits for its result any more. */
export class LeaseLost extends Error {
  override readonly name: string = "LeaseLost";
}

/** Control says that the task is not wanted any more; it waits to hear that the worker has let go. */
export class TaskStopped extends LeaseLost {
  override readonly name: string = "TaskStopped";
}

export function isStatus(error: unknown, code: status): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}

/** A control that hangs is one that is away: it is not waited for much longer than the lease. */
function answerLimitMs(expiresAt: number): number {
  return Math.min(5_000, Math.max(1_000, expiresAt - Date.now()));
}

/**
 * Renews a task's lease until it is disposed. `signal` aborts with LeaseLost when control says stop,
 * when another attempt has taken over, or when control could not be reached before the lease ended.
 */
export function keepLease(options: {
  readonly client: GrpcClient;
  readonly lease: Lease;
  readonly intervalMs: number;
  readonly state: () => TaskState | undefined;
  /** Whose lease it is, if that may change. */
  readonly taskId?: () => string;
}): { readonly signal: AbortSignal; [Symbol.dispose](): void } {
  const { client, lease, intervalMs, state, taskId = () => lease.taskId } = options;
  const lost = new AbortController();
  const done = new AbortController();
  let expiresAt = lease.expireTime === undefined ? Infinity : timestampMs(lease.expireTime);
  let timer: NodeJS.Timeout;

  const beat = async (): Promise<void> => {
    try {
      const answer = await client.call(
        TaskService.method.heartbeat,
        { taskId: taskId(), attempt: lease.attempt, progress: state() },
        { timeoutMs: answerLimitMs(expiresAt), signal: done.signal },
      );
      if (answer.stop) lost.abort(new TaskStopped("the workflow was asked to stop"));
      if (answer.expireTime !== undefined) expiresAt = timestampMs(answer.expireTime);
    } catch (error) {
      if (done.signal.aborted) return;
      if (isStatus(error, status.FAILED_PRECONDITION) || isStatus(error, status.NOT_FOUND)) {
        lost.abort(new LeaseLost("another attempt has taken over", { cause: error }));
      } else if (Date.now() > expiresAt) {
        lost.abort(new LeaseLost("control could not be reached in time", { cause: error }));
      }
    }
    if (!lost.signal.aborted && !done.signal.aborted) schedule();
  };
  const schedule = (): void => {
    timer = setTimeout(() => void beat(), intervalMs);
  };
  schedule();

  return {
    signal: lost.signal,
    [Symbol.dispose]() {
      clearTimeout(timer);
      done.abort();
    },
  };
}
