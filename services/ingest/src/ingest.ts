import { InspectService } from "@sluice/api/ingest/v1/inspect_service_pb";
import { createWarehouse } from "@sluice/load";
import type { Logger } from "pino";
import type { IngestConfig } from "./config.ts";
import { createGrpcClient } from "./grpc-client.ts";
import { serveGrpc } from "./grpc-server.ts";
import { inspectHandlers } from "./inspect.ts";
import { createLoadThreadPool } from "./load-thread-pool.ts";
import { runWorker } from "./worker.ts";

export interface Ingest {
  readonly inspectUrl: string;
  /** Claims nothing more, gives running tasks `drainMs` to end, and lets go of everything. */
  close(): Promise<void>;
}

/** Starts a worker: it serves InspectService, and claims tasks from control until it is closed. Throws when it has no worker key. */
export async function startIngest(config: IngestConfig, log: Logger): Promise<Ingest> {
  if (config.workerKey === "") {
    throw new Error(
      "SLUICE_WORKER_KEY_FILE takes the path of control's worker key: neither of them answers those who don't show it",
    );
  }
  const warehouse = createWarehouse(config.clickhouse);
  const threads = createLoadThreadPool(config);
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
  const stop = new AbortController();
  const ended = runWorker({ config, client, warehouse, threads, inspectUrl, log }, stop.signal);

  return {
    inspectUrl,
    async close() {
      stop.abort();
      const drained = new Promise<void>((resolve) => setTimeout(resolve, config.drainMs).unref());
      await Promise.race([ended, drained]);
      await threads.close();
      await inspect.close();
      client.close();
      await warehouse.close();
      const { limit, peak } = threads.memory;
      log.info({ memoryBudget: { limitBytes: limit, peakBytes: peak } }, "stopped");
    },
  };
}
