import {
  createRegistry,
  idsOf,
  type ProbeServer,
  type Readiness,
  type Registry,
  remembered,
  serveProbes,
  startTracing,
  type Tracing,
  toTraceParent,
  within,
} from "@sluice/telemetry";
import { type Kysely, sql } from "kysely";
import type { ControlConfig } from "../config.ts";
import type { Schema } from "../database/schema.ts";
import type { EndedWorkflow } from "../workflow/context.ts";
import type { ControlMetrics } from "./control-metrics.ts";

/** What the operator looks at. It listens before there is a state: migrations may take their time. */
export interface Operating {
  readonly probes: ProbeServer;
  readonly registry: Registry;
  readonly tracing: Tracing;
  /** From now on it is ready when the state can be read, until `stopped` aborts. */
  open(kysely: Kysely<Schema>, stopped: AbortSignal): void;
  close(): Promise<void>;
}

/** What a probe waits for the database. */
const PROBE_LIMIT_MS = 2_000;

export async function startOperating(
  config: Pick<ControlConfig, "metrics" | "otlpEndpoint">,
): Promise<Operating> {
  const registry = createRegistry();
  const tracing = await startTracing({ endpoint: config.otlpEndpoint, service: "sluice-control" });
  let readiness: Readiness = async () => "database";
  const probes = await serveProbes({
    ...config.metrics,
    registry,
    readiness: async () => await readiness(),
  });
  return {
    probes,
    registry,
    tracing,
    open(kysely, stopped) {
      const look = async () => await sql`select 1`.execute(kysely);
      const isThere = remembered(1_000, async () => await within(PROBE_LIMIT_MS, look));
      readiness = async () => {
        if (stopped.aborted) return "stopping";
        return (await isThere()) ? undefined : "database";
      };
    },
    async close() {
      await tracing.close();
      await probes.close();
    },
  };
}

/** Where a workflow stands in its trace: the same for every replica, and after every restart. */
function workflowIds(workflowId: string) {
  return idsOf(`sluice workflow ${workflowId}`);
}

/** What goes to a worker with a task. */
export function traceParentOf({ isOn }: Tracing): (workflowId: string) => string {
  return (workflowId) => (isOn ? toTraceParent(workflowIds(workflowId)) : "");
}

/** Tells of a workflow's end: the time it took, and the span that all its tasks are part of. */
export function tellEnding(
  { workflowSeconds }: ControlMetrics,
  tracing: Tracing,
  { id, state, startTime }: EndedWorkflow,
): void {
  const startMs = startTime?.getTime() ?? Date.now();
  workflowSeconds.observe({ state }, Math.max(0, Date.now() - startMs) / 1000);
  tracing
    .begin("workflow", {
      kind: "internal",
      ids: workflowIds(id),
      startTime: startMs,
      attributes: { "sluice.workflow": id, "sluice.state": state },
    })
    .end(state === "failed" ? { error: "failed" } : {});
}
