import { type RetryPolicy, retrying, type Warehouse } from "@sluice/load";
import type { ClickHouseModel } from "./clickhouse-model.ts";
import type { Host, Process } from "./process.ts";
import type { Timeline } from "./timeline.ts";

const POLICY: RetryPolicy = { retryBudgetMs: 60_000, firstPauseMs: 100, maxPauseMs: 5_000 };

/** The warehouse as one process sees it: requests go through a network that loses them and their answers. */
export function connectWarehouse(
  model: ClickHouseModel,
  host: Host,
  process: Process,
  timeline: Timeline,
  chance: () => number,
): Warehouse {
  const clock = {
    now: () => timeline.now(),
    sleep: async (ms: number, signal: AbortSignal | undefined) => await process.sleep(ms, signal),
    chance,
  };
  const again = async <T>(
    signal: AbortSignal | undefined,
    once: (attempt: number) => Promise<T>,
  ): Promise<T> => await retrying(POLICY, signal, once, clock);
  const ask = async <Row>(
    statement: string,
    parameters: Record<string, unknown> = {},
    signal?: AbortSignal,
  ): Promise<Row[]> =>
    (await process.request(host, () => model.query(statement, parameters), signal)) as Row[];
  const once = async (statement: string, signal?: AbortSignal): Promise<void> =>
    await process.request(
      host,
      () => model.execute(statement),
      signal,
      /^RENAME|^EXCHANGE| MOVE PARTITION /.test(statement),
    );
  const execute = async (statement: string): Promise<void> =>
    await again(undefined, async () => await once(statement));
  return {
    query: async <Row>(statement: string, parameters?: Record<string, unknown>) =>
      await again(undefined, async () => await ask<Row>(statement, parameters)),
    readText: async () => await Promise.reject(new Error("the model gives no text")),
    execute,
    copyRows: execute,
    executeOnce: async (statement) => await once(statement),
    executeLong: once,
    queryLong: ask,
    insert: async (request) =>
      await process.request(host, () => model.insert(request), request.signal),
    session: async () => await Promise.reject(new Error("the model has no sessions")),
    retrying: again,
    close: async () => {},
  };
}
