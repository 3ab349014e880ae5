import type { Lease } from "@sluice/api/ingest/v1/task_pb";
import type { StageTime } from "@sluice/streams";
import { parseTraceParent, type Span, type Tracing } from "@sluice/telemetry";
import type { LoadState } from "../load-meter.ts";
import type { LoadReport } from "./load-report.ts";
import type { WorkerMetrics } from "./worker-metrics.ts";

/** Hears of all that a worker does, for those who operate it. */
export interface WorkerWatch {
  /** Whether control answered the call for work. */
  registered(isHeard: boolean): void;
  task(lease: Lease): TaskWatch;
}

/** What became durable. */
export type DurableState = Pick<LoadState, "bytesRead" | "checkpoint">;

/** Hears of one attempt. */
export interface TaskWatch {
  /** How far it is: counts what became durable since the last time. */
  state(state: DurableState): void;
  /** A thread begins to load: what it reports counts from nothing. Needed where one attempt loads more than once. */
  begins(): void;
  /** Where its time went: counts what passed since the last time. */
  report(report: LoadReport): void;
  /** Something that was loaded together with others failed by itself; the others go on. */
  failedAlone(failure: { readonly stage: string; readonly code: string }): void;
  done(): void;
  failed(failure: { readonly stage: string; readonly code: string }): void;
  /** Nobody waits for it any more; `isLost` when that was not asked for. */
  dropped(isLost: boolean): void;
}

export const NO_WATCH: WorkerWatch = {
  registered: () => undefined,
  task: () => ({
    state: () => undefined,
    begins: () => undefined,
    report: () => undefined,
    failedAlone: () => undefined,
    done: () => undefined,
    failed: () => undefined,
    dropped: () => undefined,
  }),
};

/** Counts and traces. Of a task only its ids and its kind are told: names and keys are the customer's. */
export function createWorkerWatch(
  metrics: WorkerMetrics,
  tracing: Tracing,
  registered: (isHeard: boolean) => void,
): WorkerWatch {
  return {
    registered,
    task(lease) {
      const work = lease.work.case ?? "unknown";
      const began = performance.now();
      const span = tracing.begin(`task ${work}`, {
        kind: "internal",
        parent: parseTraceParent(lease.traceParent),
        attributes: {
          "sluice.workflow": lease.workflowId,
          "sluice.task": lease.taskId,
          "sluice.attempt": lease.attempt,
          "sluice.work": work,
        },
      });
      metrics.tasksRunning.inc({ work });
      const isLoad = lease.work.case === "loadObject" || lease.work.case === "loadUnit";
      const checkpoint = lease.work.case === "loadObject" ? lease.work.value.checkpoint : undefined;
      const counted = createCounting(metrics, {
        rows: Number(checkpoint?.rows ?? 0),
        rejected: Number(checkpoint?.rejectedRows ?? 0),
      });
      let bytesRead = 0;
      const end = (outcome: string, error?: string): void => {
        metrics.tasksRunning.dec({ work });
        metrics.taskSeconds.observe({ work, outcome }, (performance.now() - began) / 1000);
        span.end({
          ...(error === undefined ? {} : { error }),
          attributes: {
            "sluice.outcome": outcome,
            ...(isLoad ? { "sluice.rows": counted.rows, "sluice.bytes": bytesRead } : {}),
          },
        });
      };
      return {
        state(state) {
          bytesRead = state.bytesRead;
          counted.state(state);
        },
        begins: counted.begins,
        report(report) {
          counted.report(report);
          if (tracing.isOn) traceInserts(tracing, span, report);
        },
        failedAlone: ({ stage, code }) => metrics.errors.inc({ stage, code }),
        done: () => end("done"),
        failed({ stage, code }) {
          metrics.errors.inc({ stage, code });
          end("failed", `${stage}/${code}`);
        },
        dropped(isLost) {
          if (isLost) metrics.leasesLost.inc();
          end("dropped");
        },
      };
    },
  };
}

/** A load tells what it has done so far; counters want what is new. */
function createCounting(
  metrics: WorkerMetrics,
  resumedAt: { readonly rows: number; readonly rejected: number },
): {
  /** Durable in this attempt. */
  readonly rows: number;
  state(state: DurableState): void;
  begins(): void;
  report(report: LoadReport): void;
} {
  let durable = resumedAt;
  let last = new Map<string, StageTime>();
  return {
    get rows() {
      return durable.rows - resumedAt.rows;
    },
    state({ checkpoint: { rows, rejected } }) {
      metrics.stageRows.inc({ stage: "load" }, Math.max(0, rows - durable.rows));
      metrics.rejectedRows.inc({ stage: "load" }, Math.max(0, rejected - durable.rejected));
      durable = { rows, rejected };
    },
    begins() {
      last = new Map();
    },
    report({ time, inserts }) {
      for (const { elapsedMs, bytes, outcome } of inserts) {
        const isGood = outcome === "ok";
        metrics.insertSeconds.observe({ outcome: isGood ? "ok" : "failed" }, elapsedMs / 1000);
        if (isGood) metrics.stageBytes.inc({ stage: "load" }, bytes);
      }
      if (time === undefined) return;
      for (const now of time.stages) {
        const { stage } = now;
        const before = last.get(stage);
        const grown = (of: Exclude<keyof StageTime, "stage">): number =>
          // Shares of one time: what a stage waited for can turn out to be less than it seemed.
          Math.max(0, now[of] - (before?.[of] ?? 0));
        metrics.stageSeconds.inc({ stage, kind: "busy" }, grown("busyMs") / 1000);
        metrics.stageSeconds.inc(
          { stage, kind: "waiting_for_input" },
          grown("waitingForInputMs") / 1000,
        );
        metrics.stageSeconds.inc(
          { stage, kind: "waiting_for_output" },
          grown("waitingForOutputMs") / 1000,
        );
        // Of the last stage inserts and checkpoints tell.
        if (stage === "load") continue;
        metrics.stageBytes.inc({ stage }, grown("bytes"));
        if (now.rows > 0) metrics.stageRows.inc({ stage }, grown("rows"));
        if (stage === "parse") metrics.rejectedRows.inc({ stage }, grown("faults"));
      }
      last = new Map(time.stages.map((of) => [of.stage, of]));
    },
  };
}

function traceInserts(tracing: Tracing, task: Span, { inserts }: LoadReport): void {
  for (const { startTime, elapsedMs, bytes, outcome } of inserts) {
    tracing
      .begin("insert", {
        kind: "client",
        parent: task.ids,
        startTime,
        attributes: { "db.system.name": "clickhouse", "sluice.bytes": bytes },
      })
      .end({
        endTime: startTime + elapsedMs,
        ...(outcome === "ok" ? {} : { error: outcome }),
      });
  }
}
