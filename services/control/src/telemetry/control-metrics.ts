import { type Registry, remembered } from "@sluice/telemetry";
import { type Kysely, sql } from "kysely";
import { Counter, Gauge, Histogram } from "prom-client";
import type { Schema } from "../database/schema.ts";

/** What control counts. Labels are words of ours alone: methods, codes, states, kinds; never a tenant or an id. */
export interface ControlMetrics {
  readonly calls: Counter<"method" | "code">;
  readonly callSeconds: Histogram<"method">;
  readonly workflowSeconds: Histogram<"state">;
  readonly leasesLost: Counter;
  readonly auditFailures: Counter;
}

const CALL_SECONDS = [0.01, 0.1, 1, 10, 60];
const WORKFLOW_SECONDS = [1, 10, 60, 300, 1800, 7200, 28_800];
/** What was counted is taken for true so long: scraping costs the database nothing worth a thought. */
const REMEMBER_MS = 5_000;

interface Count {
  readonly name: string;
  readonly count: number;
}

interface StateCounts {
  /** Tasks that could be claimed now, that wait for a pause to end, and that run. */
  readonly tasks: readonly (Count & { readonly kind: string })[];
  readonly workflows: readonly Count[];
  readonly openActions: number;
  readonly workers: number;
  readonly deliveries: number;
}

export function createControlMetrics(registry: Registry, kysely: Kysely<Schema>): ControlMetrics {
  const registers = [registry];
  const counts = remembered(
    REMEMBER_MS,
    async () => await readCounts(kysely).catch(() => undefined),
  );
  /** A gauge that is read from the database; without a database it has no value. */
  const gauge = <L extends string>(
    name: string,
    help: string,
    labelNames: readonly L[],
    read: (gauge: Gauge<L>, counts: StateCounts) => void,
  ): void => {
    new Gauge<L>({
      ...{ name, help, labelNames, registers },
      async collect() {
        this.reset();
        const now = await counts();
        if (now !== undefined) read(this, now);
      },
    });
  };
  new Gauge({
    ...{ name: "sluice_database_up", help: "Whether the state can be read.", registers },
    async collect() {
      this.set((await counts()) === undefined ? 0 : 1);
    },
  });
  gauge(
    "sluice_tasks",
    "Tasks by kind and state: ready (the queue's depth), delayed, running.",
    ["kind", "state"],
    (of, { tasks }) => {
      for (const kind of ["list", "load", "publish", "discard"]) {
        for (const state of ["ready", "delayed", "running"]) of.set({ kind, state }, 0);
      }
      for (const { kind, name, count } of tasks) of.set({ kind, state: name }, count);
    },
  );
  gauge(
    "sluice_workflows",
    "Workflows that are not over, by state; failed ones until they are resumed or given up.",
    ["state"],
    (of, { workflows }) => {
      for (const state of ["scheduled", "running", "finalizing", "failing", "stopping", "failed"]) {
        of.set({ state }, 0);
      }
      for (const { name, count } of workflows) of.set({ state: name }, count);
    },
  );
  gauge("sluice_actions_open", "Actions that wait for somebody.", [], (of, now) =>
    of.set(now.openActions),
  );
  gauge("sluice_workers", "Workers that asked for work in the last 90 seconds.", [], (of, now) =>
    of.set(now.workers),
  );
  gauge("sluice_webhook_deliveries", "Webhook deliveries that wait.", [], (of, now) =>
    of.set(now.deliveries),
  );
  return {
    calls: new Counter({
      name: "sluice_api_calls_total",
      help: "Calls by method and code; streams when they end.",
      labelNames: ["method", "code"],
      registers,
    }),
    callSeconds: new Histogram({
      name: "sluice_api_call_duration_seconds",
      help: "Time to the answer; of streams to their end.",
      labelNames: ["method"],
      buckets: CALL_SECONDS,
      registers,
    }),
    workflowSeconds: new Histogram({
      name: "sluice_workflow_duration_seconds",
      help: "Workflows that this replica saw end, from the first task to the end, by state.",
      labelNames: ["state"],
      buckets: WORKFLOW_SECONDS,
      registers,
    }),
    leasesLost: new Counter({
      name: "sluice_leases_lost_total",
      help: "Leases that ran out and were taken from their workers.",
      registers,
    }),
    auditFailures: new Counter({
      name: "sluice_audit_failures_total",
      help: "Entries of the audit log that could not be written.",
      registers,
    }),
  };
}

async function readCounts(kysely: Kysely<Schema>): Promise<StateCounts> {
  const { rows } = await sql<{ what: string; kind: string; name: string; count: number }>`
    select 'task' as what, kind,
      case when state = 'running' then 'running'
        when available_time is null or available_time <= clock_timestamp() then 'ready'
        else 'delayed' end as name, count(*)::int as count
      from task where state in ('waiting', 'running') group by 1, 2, 3
    union all select 'workflow', '', state, count(*)::int from workflow
      where state not in ('succeeded', 'skipped', 'stopped', 'abandoned') group by state
    union all select 'action', '', '', count(*)::int from action where state = 'open'
    union all select 'delivery', '', '', count(*)::int from webhook_delivery
    union all select 'worker', '', '', count(*)::int from worker
      where seen_time > now() - interval '90 seconds'`.execute(kysely);
  const one = (what: string): number => rows.find((row) => row.what === what)?.count ?? 0;
  return {
    tasks: rows.filter(({ what }) => what === "task"),
    workflows: rows.filter(({ what }) => what === "workflow"),
    openActions: one("action"),
    workers: one("worker"),
    deliveries: one("delivery"),
  };
}
