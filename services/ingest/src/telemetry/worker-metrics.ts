import type { Registry } from "@sluice/telemetry";
import { Counter, Gauge, Histogram } from "prom-client";

/** What a worker counts. Labels are words of ours alone: stages, codes, kinds of work. */
export interface WorkerMetrics {
  readonly stageBytes: Counter<"stage">;
  readonly stageRows: Counter<"stage">;
  readonly stageSeconds: Counter<"stage" | "kind">;
  readonly rejectedRows: Counter<"stage">;
  readonly errors: Counter<"stage" | "code">;
  readonly leasesLost: Counter;
  readonly tasksRunning: Gauge<"work">;
  readonly taskSeconds: Histogram<"work" | "outcome">;
  readonly insertSeconds: Histogram<"outcome">;
}

const TASK_SECONDS = [0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600];
const INSERT_SECONDS = [0.01, 0.05, 0.1, 0.5, 1, 5, 30, 300];

export function createWorkerMetrics(
  registry: Registry,
  memory: { readonly limit: number; readonly used: number; readonly peak: number },
  isRegistered: () => boolean,
): WorkerMetrics {
  const registers = [registry];
  const gauge = (name: string, help: string, read: () => number): void => {
    new Gauge({
      ...{ name, help, registers },
      collect() {
        this.set(read());
      },
    });
  };
  gauge(
    "sluice_memory_in_flight_bytes",
    "Bytes set aside or leased of the budget.",
    () => memory.used,
  );
  gauge("sluice_memory_peak_bytes", "The most that ever were.", () => memory.peak);
  gauge("sluice_memory_budget_bytes", "SLUICE_MEMORY_BUDGET_MIB.", () => memory.limit);
  gauge("sluice_worker_registered", "Whether control answered the last call for work.", () =>
    isRegistered() ? 1 : 0,
  );
  return {
    stageBytes: new Counter({
      name: "sluice_stage_bytes_total",
      help: "Bytes that came out of a stage, repeats included.",
      labelNames: ["stage"],
      registers,
    }),
    stageRows: new Counter({
      name: "sluice_stage_rows_total",
      help: "Rows that came out of a stage, repeats included; of load: rows that became durable.",
      labelNames: ["stage"],
      registers,
    }),
    stageSeconds: new Counter({
      name: "sluice_stage_seconds_total",
      help: "Time of loads by stage: busy, waiting_for_input, waiting_for_output. The three sum up.",
      labelNames: ["stage", "kind"],
      registers,
    }),
    rejectedRows: new Counter({
      name: "sluice_rows_rejected_total",
      help: "Rejected rows: of load all that became durable as rejects, of parse those that could not be cut.",
      labelNames: ["stage"],
      registers,
    }),
    errors: new Counter({
      name: "sluice_errors_total",
      help: "Attempts that failed, by stage and code.",
      labelNames: ["stage", "code"],
      registers,
    }),
    leasesLost: new Counter({
      name: "sluice_worker_leases_lost_total",
      help: "Tasks dropped because another attempt took over or control could not be reached.",
      registers,
    }),
    tasksRunning: new Gauge({
      name: "sluice_tasks_running",
      help: "Tasks that this worker works on.",
      labelNames: ["work"],
      registers,
    }),
    taskSeconds: new Histogram({
      name: "sluice_task_duration_seconds",
      help: "Attempts by kind of work and outcome: done, failed, dropped.",
      labelNames: ["work", "outcome"],
      buckets: TASK_SECONDS,
      registers,
    }),
    insertSeconds: new Histogram({
      name: "sluice_insert_duration_seconds",
      help: "Inserts of loads, each try by itself: ok or failed.",
      labelNames: ["outcome"],
      buckets: INSERT_SECONDS,
      registers,
    }),
  };
}
