import { InspectService } from "@sluice/api/ingest/v1/inspect_service_pb";
import { createPlatformSessions } from "@sluice/fetch";
import { createWarehouse } from "@sluice/load";
import {
  createRegistry,
  type Readiness,
  remembered,
  serveProbes,
  startTracing,
  within,
} from "@sluice/telemetry";
import type { Logger } from "pino";
import type { IngestConfig } from "./config.ts";
import { createGrpcClient } from "./grpc-client.ts";
import { serveGrpc } from "./grpc-server.ts";
import { inspectHandlers } from "./inspect.ts";
import { createLoadThreadPool } from "./load-thread-pool.ts";
import { sweepLeftovers } from "./sweep.ts";
import { createWorkerMetrics } from "./telemetry/worker-metrics.ts";
import { createWorkerWatch } from "./telemetry/worker-watch.ts";
import { runWorker, type WorkerContext } from "./worker.ts";

export interface Ingest {
  /** Where metrics and health are told. */
  readonly probeUrl: string;
  readonly inspectUrl: string;
  /** Claims nothing more, gives running tasks `drainMs` to end, and lets go of everything. */
  close(): Promise<void>;
}

/** What a probe waits for ClickHouse. */
const PROBE_LIMIT_MS = 2_000;

/** Starts a worker: it serves InspectService, and claims tasks from control until it is closed. Throws when it has no worker key. */
export async function startIngest(config: IngestConfig, log: Logger): Promise<Ingest> {
  if (config.workerKey === "") {
    throw new Error(
      "SLUICE_WORKER_KEY_FILE takes the path of control's worker key: neither of them answers those who don't show it",
    );
  }
  const warehouse = createWarehouse(config.clickhouse);
  const threads = createLoadThreadPool(config);
  let isRegistered = false;
  const registry = createRegistry();
  const metrics = createWorkerMetrics(registry, threads.memory, () => isRegistered);
  const tracing = await startTracing({
    endpoint: config.otlpEndpoint === "" ? undefined : config.otlpEndpoint,
    service: "sluice-ingest",
  });
  const watch = createWorkerWatch(metrics, tracing, (isHeard) => {
    isRegistered = isHeard;
  });
  const stop = new AbortController();
  const readiness: Readiness = async () => {
    if (stop.signal.aborted) return "stopping";
    if (!isRegistered) return "control";
    const signal = AbortSignal.timeout(PROBE_LIMIT_MS);
    const look = async () => await warehouse.queryLong("SELECT 1", {}, signal);
    return (await within(PROBE_LIMIT_MS, look)) ? undefined : "clickhouse";
  };
  const probes = await serveProbes({
    host: config.metricsHost,
    port: config.metricsPort,
    registry,
    readiness: remembered(1_000, readiness),
  });
  const inspect = await serveGrpc({
    service: InspectService,
    handlers: inspectHandlers(config, warehouse, threads),
    host: config.inspectHost,
    port: config.inspectPort,
    workerKey: config.workerKey,
    onUnexpected: (error, method) => log.error({ err: error, method }, "unexpected failure"),
  });
  const inspectUrl = config.inspectUrl || `http://${config.inspectHost}:${inspect.port}`;
  const client = createGrpcClient(config.controlUrl, config.workerKey);
  const context: WorkerContext = {
    config,
    client,
    warehouse,
    threads,
    inspectUrl,
    log,
    watch,
    platformSessions: createPlatformSessions(),
  };
  const ended = Promise.all([
    runWorker(context, stop.signal),
    sweepLeftovers(context, stop.signal),
  ]);

  return {
    inspectUrl,
    probeUrl: probes.url,
    async close() {
      stop.abort();
      const drained = new Promise<void>((resolve) => setTimeout(resolve, config.drainMs).unref());
      await Promise.race([ended, drained]);
      await threads.close();
      await inspect.close();
      client.close();
      await warehouse.close();
      await tracing.close();
      await probes.close();
      const { limit, peak } = threads.memory;
      log.info({ memoryBudget: { limitBytes: limit, peakBytes: peak } }, "stopped");
    },
  };
}
