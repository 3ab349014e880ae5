import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Writable } from "node:stream";
import type { DescService } from "@bufbuild/protobuf";
import { type Client, createClient, type Interceptor, type Transport } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { TaskService } from "@sluice/api/ingest/v1/task_service_pb";
import { pino } from "pino";
import { readConfig } from "../../src/config.ts";
import { startControl } from "../../src/control.ts";
import type { TestDatabase } from "./databases.ts";
import { WORKER_KEY } from "./inspect-double.ts";

/** A whole control service on sockets of its own. */
export interface ControlUnderTest {
  readonly url: string;
  /** An API key of an admin, which the transport and `post` send. */
  readonly adminKey: string;
  /** gRPC over cleartext HTTP/2. */
  readonly transport: Transport;
  /** The same for another caller: what stands in the header `authorization`; nothing when undefined. */
  transportOf(authorization: string | undefined): Transport;
  client<Desc extends DescService>(service: Desc): Client<Desc>;
  /** Calls a method of sluice.control.v1 as curl would: JSON in, JSON out, HTTP/1.1. */
  post(method: string, body: unknown): Promise<JsonAnswer>;
  /** All that was logged so far, at the most talkative level. */
  logged(): string;
  /** Announces a worker that serves InspectService at the address. */
  announce(inspectUrl: string): Promise<void>;
  close(): Promise<void>;
}

export interface JsonAnswer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: a test reads what a stranger to the API would get
  readonly body: any;
}

/** Starts control; the environment's variables come on top of what the database needs. */
export async function startControlUnderTest(
  database: TestDatabase,
  environment: Readonly<Record<string, string>> = {},
): Promise<ControlUnderTest> {
  const lines: string[] = [];
  const sink = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      lines.push(chunk.toString("utf8"));
      done();
    },
  });
  const config = readConfig({
    SLUICE_CONTROL_PORT: "0",
    SLUICE_DATA_DIR: database.dataDir,
    SLUICE_SHUTDOWN_GRACE_MS: "2000",
    SLUICE_WORKER_KEY: WORKER_KEY,
    ...(database.databaseUrl === undefined ? {} : { DATABASE_URL: database.databaseUrl }),
    ...environment,
  });
  const control = await startControl(config, pino({ level: "trace" }, sink));
  const { url } = control;
  const sessionManager = new Http2SessionManager(url);
  const transportOf = (authorization: string | undefined): Transport =>
    createGrpcTransport({
      baseUrl: url,
      sessionManager,
      interceptors: authorization === undefined ? [] : [authorized(authorization)],
    });
  const adminKey = adminKeyIn(database.dataDir);
  const transport = transportOf(`Bearer ${adminKey}`);
  return {
    url,
    adminKey,
    transport,
    transportOf,
    client: (service) => createClient(service, transport),
    post: (method, body) => postJson(`${url}/sluice.control.v1.${method}`, body, adminKey),
    logged: () => lines.join(""),
    announce: async (inspectUrl) => {
      const workerId = `worker at ${inspectUrl}`;
      await createClient(TaskService, transportOf(`Worker ${WORKER_KEY}`)).claimTasks({
        workerId,
        capacity: 1,
        wait: { seconds: 0n, nanos: 0 },
        inspectUrl,
      });
    },
    close: async () => {
      sessionManager.abort();
      await control.close();
    },
  };
}

/** The key that control made at its first start on the directory. */
export function adminKeyIn(dataDir: string): string {
  return readFileSync(join(dataDir, "control", "admin.key"), "utf8").trim();
}

/** Sends a credential with every call. */
export function authorized(authorization: string): Interceptor {
  return (next) => async (request) => {
    request.header.set("authorization", authorization);
    return await next(request);
  };
}

export async function postJson(url: string, body: unknown, key?: string): Promise<JsonAnswer> {
  const response = await fetch(url, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
    },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
  return { status: response.status, body: await response.json() };
}
