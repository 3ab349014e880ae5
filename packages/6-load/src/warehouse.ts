import { randomUUID } from "node:crypto";
import { text } from "node:stream/consumers";
import {
  type ClickHouseClient,
  ClickHouseLogLevel,
  type ClickHouseSettings,
  createClient,
} from "@clickhouse/client";
import { createInsertPath, type InsertAnswer, type InsertRequest } from "./insert-request.ts";
import { type RetryPolicy, retrying } from "./retrying.ts";
import { translateClickHouseError } from "./translate-clickhouse-error.ts";

export interface WarehouseOptions {
  /** `http://` or `https://`, host and port. Credentials never stand here. */
  readonly url: string;
  readonly username: string;
  readonly password: string;
  /** The database of tables that a statement names without one. `default` when not set. */
  readonly database?: string;
  /**
   * How long one request may take without a word of the server, in milliseconds; then its outcome counts as unknown. Only
   * in a long statement the server says that it is at work. Default 300,000.
   */
  readonly requestTimeoutMs?: number;
  /**
   * How often the server says in a long statement that it is at work, in milliseconds. It ends one that nobody waits for
   * within this time. Default 10,000.
   */
  readonly progressIntervalMs?: number;
  /** Connections for inserts, and as many again for statements. Default 8. */
  readonly maxOpenConnections?: number;
  /** How long a request is repeated while ClickHouse is away or overloaded, in milliseconds. Default 60,000. */
  readonly retryBudgetMs?: number;
  /** The first pause before a repetition, in milliseconds; it doubles. Default 100. */
  readonly retryFirstPauseMs?: number;
}

/** A ClickHouse that rows are loaded into. All errors are StageErrors of the load stage. */
export interface Warehouse {
  /** Rows of a SELECT; its values come from `parameters` by `{name:Type}`. Repeated when ClickHouse is away. */
  query<Row>(statement: string, parameters?: Record<string, unknown>): Promise<Row[]>;
  /** The answer to a statement that names no format and changes nothing, as text. Repeated when ClickHouse is away. */
  readText(statement: string): Promise<string>;
  /** A statement that may be carried out twice without harm; repeated when its outcome is unknown. */
  execute(statement: string): Promise<void>;
  /** Like `execute`, of an INSERT ... SELECT: it takes the longer the more rows there are. */
  copyRows(statement: string): Promise<void>;
  /** A statement that must not be carried out twice; its caller resolves an unknown outcome. */
  executeOnce(statement: string): Promise<void>;
  /**
   * One try of a statement that may take long: the server ends it within seconds after its caller gave it up by the
   * signal, closed the warehouse, or died.
   */
  executeLong(statement: string, signal?: AbortSignal): Promise<void>;
  /** One try of a SELECT that may take long and gives few rows; ended as a long statement is. */
  queryLong<Row>(
    statement: string,
    parameters?: Record<string, unknown>,
    signal?: AbortSignal,
  ): Promise<Row[]>;
  /** One try of an insert. */
  insert(request: InsertRequest): Promise<InsertAnswer>;
  /** Statements that share temporary tables, of which nothing is left when `run` has ended. One try of each. */
  session<T>(run: (session: WarehouseSession) => Promise<T>): Promise<T>;
  /** Repeats a request under this warehouse's retry policy. */
  retrying<T>(signal: AbortSignal | undefined, once: (attempt: number) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

/** One session of a warehouse: all its requests go to one server, which ends it after a minute without any. */
export interface WarehouseSession {
  query<Row>(statement: string): Promise<Row[]>;
  execute(statement: string): Promise<void>;
  insert(request: Omit<InsertRequest, "queryId" | "deduplicationToken">): Promise<InsertAnswer>;
}

/** Each header is some 200 bytes, for every ten seconds of an hour. */
const MAX_HEADER_BYTES = 1024 * 1024;

/** Opens no connection by itself; close it to give its connections back. */
export function createWarehouse(options: WarehouseOptions): Warehouse {
  const requestTimeoutMs = options.requestTimeoutMs ?? 300_000;
  const maxOpenConnections = options.maxOpenConnections ?? 8;
  // A server that writes nothing until its end does not see that its client is gone.
  const progressSettings: ClickHouseSettings = {
    send_progress_in_http_headers: 1,
    http_headers_progress_interval_ms: String(options.progressIntervalMs ?? 10_000),
  };
  const policy: RetryPolicy = {
    retryBudgetMs: options.retryBudgetMs ?? 60_000,
    firstPauseMs: options.retryFirstPauseMs ?? 100,
    maxPauseMs: 5_000,
  };
  const { url, username, password } = options;
  const client: ClickHouseClient = createClient({
    url,
    username,
    password,
    ...(options.database === undefined ? {} : { database: options.database }),
    request_timeout: requestTimeoutMs,
    max_open_connections: maxOpenConnections,
    compression: { request: false, response: false },
    max_response_headers_size: MAX_HEADER_BYTES,
    application: "sluice",
    // Its log would quote what the server says, which may be row data; errors are thrown anyway.
    log: { level: ClickHouseLogLevel.OFF },
  });
  const inserts = createInsertPath({
    url,
    username,
    password,
    requestTimeoutMs,
    maxOpenConnections,
  });

  const executeOnce = async (statement: string): Promise<void> => {
    try {
      await client.command({ query: statement });
    } catch (error) {
      throw translateClickHouseError(error);
    }
  };
  const execute = async (statement: string): Promise<void> =>
    await retrying(policy, undefined, async () => await executeOnce(statement));
  const executeLong = async (statement: string, signal?: AbortSignal): Promise<void> => {
    // The client begins a request also when its signal has come already.
    signal?.throwIfAborted();
    try {
      await client.command({
        query: statement,
        clickhouse_settings: progressSettings,
        ...(signal === undefined ? {} : { abort_signal: signal }),
      });
    } catch (error) {
      signal?.throwIfAborted();
      throw translateClickHouseError(error);
    }
  };

  return {
    async query<Row>(statement: string, parameters: Record<string, unknown> = {}): Promise<Row[]> {
      return await retrying(policy, undefined, async () => {
        try {
          const result = await client.query({
            query: statement,
            query_params: parameters,
            format: "JSONEachRow",
          });
          return await result.json<Row>();
        } catch (error) {
          throw translateClickHouseError(error);
        }
      });
    },
    readText: async (statement) =>
      await retrying(policy, undefined, async () => {
        try {
          const { stream } = await client.exec({ query: statement });
          return await text(stream);
        } catch (error) {
          throw translateClickHouseError(error);
        }
      }),
    execute,
    copyRows: execute,
    executeOnce,
    executeLong,
    async queryLong<Row>(
      statement: string,
      parameters: Record<string, unknown> = {},
      signal?: AbortSignal,
    ): Promise<Row[]> {
      signal?.throwIfAborted();
      try {
        const result = await client.query({
          query: statement,
          query_params: parameters,
          format: "JSONEachRow",
          clickhouse_settings: progressSettings,
          ...(signal === undefined ? {} : { abort_signal: signal }),
        });
        return await result.json<Row>();
      } catch (error) {
        signal?.throwIfAborted();
        throw translateClickHouseError(error);
      }
    },
    async insert(request) {
      try {
        return await inserts.send(request);
      } catch (error) {
        request.signal?.throwIfAborted();
        throw translateClickHouseError(error);
      }
    },
    async session(run) {
      const id = randomUUID();
      const translated = async <T>(request: () => Promise<T>): Promise<T> => {
        try {
          return await request();
        } catch (error) {
          throw translateClickHouseError(error);
        }
      };
      return await run({
        query: async <Row>(query: string) =>
          await translated(async () => {
            const result = await client.query({ query, session_id: id, format: "JSONEachRow" });
            return await result.json<Row>();
          }),
        execute: async (query) =>
          await translated(async () => void (await client.command({ query, session_id: id }))),
        async insert(request) {
          request.signal?.throwIfAborted();
          return await translated(
            async () =>
              await inserts.send({
                ...request,
                queryId: `${id}-insert`,
                deduplicationToken: "",
                settings: { ...request.settings, session_id: id },
              }),
          );
        },
      });
    },
    retrying: async (signal, once) => await retrying(policy, signal, once),
    async close() {
      inserts.close();
      await client.close();
    },
  };
}
