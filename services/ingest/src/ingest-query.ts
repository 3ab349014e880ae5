import { once } from "node:events";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { IngestQueryWork, Lease, LoadObjectResultSchema } from "@sluice/api/ingest/v1/task_pb";
import { StageError } from "@sluice/errors";
import { createWarehouse, queryDatabase, runIngestQuery } from "@sluice/load";
import { toFeed } from "./from-proto.ts";
import type { WorkerContext } from "./worker.ts";

/** A query may take as long as ClickHouse lets it, and its answer comes at its end. */
const QUERY_TIMEOUT_MS = 3_660_000;

/** Runs an ingest query over its staged files, into the workflow's staging tables, by the user who may do that alone. */
export async function ingestQuery(
  { workflowId, attempt }: Lease,
  work: IngestQueryWork,
  { config, warehouse }: WorkerContext,
  signal: AbortSignal,
): Promise<MessageInitShape<typeof LoadObjectResultSchema>> {
  if (work.feed === undefined || work.query === undefined) {
    throw new Error("the task came without a feed or a query");
  }
  if (config.clickhouse.queryPassword === "") {
    const message =
      "this worker has no ClickHouse user for ingest queries: set CLICKHOUSE_QUERY_USER and CLICKHOUSE_QUERY_PASSWORD";
    throw new StageError("load", "access_denied", message);
  }
  const place = {
    workflowId,
    feed: toFeed(work.feed),
    sql: work.query.sql,
    tags: work.query.fileTags,
  };
  const { url, queryUser, queryPassword, retryBudgetMs } = config.clickhouse;
  const queryWarehouse = createWarehouse({
    url,
    username: queryUser,
    password: queryPassword,
    database: queryDatabase(place),
    requestTimeoutMs: QUERY_TIMEOUT_MS,
    retryBudgetMs,
  });
  try {
    const running = runIngestQuery({
      ...place,
      warehouse,
      queryWarehouse,
      attempt,
      ordinal: Number(work.ordinal),
      sent: work.sent.map(({ key, rows: sentRows }) => ({ key, rows: Number(sentRows) })),
      signal,
    });
    // Whoever is told to stop stops at once; the server ends what it still does soon after.
    const { rows, rejected, warnings } = await Promise.race([running, aborted(signal)]);
    return {
      checkpoint: { batches: 1n, rows: BigInt(rows), rejectedRows: BigInt(rejected) },
      warnings: [...warnings],
      route: `ingest query over ${place.tags.join(", ")}, inside ClickHouse`,
    };
  } finally {
    await queryWarehouse.close();
  }
}

async function aborted(signal: AbortSignal): Promise<never> {
  if (!signal.aborted) await once(signal, "abort");
  throw signal.reason;
}
