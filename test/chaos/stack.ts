import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DeleteObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { type ClickHouseClient, ClickHouseLogLevel, createClient } from "@clickhouse/client";
import { type Client, createClient as createApiClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { CourierService } from "@sluice/api/control/v1/courier_service_pb";
import { CredentialService } from "@sluice/api/control/v1/credential_service_pb";
import { FeedService } from "@sluice/api/control/v1/feed_service_pb";
import { WorkflowService } from "@sluice/api/control/v1/workflow_service_pb";
import {
  type ChildService,
  type Customer,
  createCustomer,
  startLocal,
  withKey,
} from "@sluice/local";
import { type LocalClickHouse, startLocalClickHouse } from "@sluice/local-clickhouse";
import { generateKey } from "openpgp";
import { type CrashPoints, createCrashPoints } from "./crash-points.ts";
import { BATCH_ROWS, type Keys } from "./data.ts";
import { createScriptedProxy, type ScriptedProxy } from "./scripted-proxy.ts";

/** How long a worker may be silent: a crashed one is replaced after it. */
export const LEASE_MS = 2_000;

/** Control's API, as an admin sees it. */
interface Clients {
  readonly credentials: Client<typeof CredentialService>;
  readonly feeds: Client<typeof FeedService>;
  readonly couriers: Client<typeof CourierService>;
  readonly workflows: Client<typeof WorkflowService>;
}

/** The whole product, a customer, and everything that can go wrong between them. */
export interface Stack extends Clients, AsyncDisposable {
  readonly s3: ScriptedProxy;
  readonly warehouse: ScriptedProxy;
  readonly crash: CrashPoints;
  readonly aws: Awaited<ReturnType<typeof startLocal>>["aws"];
  readonly customer: Customer;
  readonly credentialId: string;
  readonly keys: Keys;
  /** Straight to the server, with all rights. */
  readonly clickhouse: ClickHouseClient;
  readonly server: LocalClickHouse;
  readonly workers: readonly ChildService[];
  readonly control: ChildService;
  readonly spoolDir: string;
  rows<T>(query: string): Promise<T[]>;
  remove(key: string): Promise<void>;
  /** Starts whatever has died, as an init system does. Workers come back to `workers` of them. */
  supervise(): Promise<void>;
  /** Files that lie in the spool folder. */
  spools(): string[];
}

export async function startStack(options: { readonly workers: number }): Promise<Stack> {
  await using started = new AsyncDisposableStack();
  const dataDir = mkdtempSync(join(tmpdir(), "sluice-chaos-"));
  started.defer(() => rmSync(dataDir, { recursive: true, force: true }));
  const [chaosDir, spoolDir] = ["chaos", "spool"].map((name) => join(dataDir, name)) as [
    string,
    string,
  ];
  for (const folder of [chaosDir, spoolDir]) mkdirSync(folder);
  const crash = createCrashPoints(chaosDir);
  const chaos = { SLUICE_CHAOS: "1", SLUICE_CHAOS_DIR: chaosDir };

  const clickhouseDir = join(dataDir, "warehouse");
  let server = await startLocalClickHouse({ dataDir: clickhouseDir });
  started.defer(async () => await server.stop());
  let isServerGone = false;
  const watchServer = (): void => {
    isServerGone = false;
    const watched = server;
    void watched.exited.then(() => {
      if (watched === server) isServerGone = true;
    });
  };
  watchServer();
  const warehouse = started.use(await createScriptedProxy(server.url));
  const s3 = started.use(await createScriptedProxy("http://127.0.0.1:1"));
  const { admin, loader, query } = server.users;
  const local = started.use(
    await startLocal({
      dataDir,
      clickhouse: {
        url: warehouse.url,
        username: loader.name,
        password: loader.password,
        queryUser: query.name,
        queryPassword: query.password,
      },
      controlEnvironment: {
        ...chaos,
        SLUICE_LEASE_MS: String(LEASE_MS),
        SLUICE_MAX_ATTEMPTS: "5",
        SLUICE_RETRY_DELAY_MS: "100",
        SLUICE_LOG_LEVEL: "warn",
      },
      ingestEnvironment: {
        ...chaos,
        SLUICE_S3_ENDPOINT: s3.url,
        SLUICE_SPOOL_DIR: spoolDir,
        SLUICE_CLICKHOUSE_RETRY_MS: "4000",
        SLUICE_CLICKHOUSE_TIMEOUT_MS: "3000",
        SLUICE_DRAIN_MS: "3000",
        SLUICE_LIMITS: JSON.stringify({
          fetch: { idleTimeoutMs: 700, backoffBaseMs: 20, backoffMaxMs: 200, accessCheckMs: 1_000 },
          batch: { maxRows: BATCH_ROWS },
          // Small blocks: batches become durable while the rest of a small file is still read.
          delimited: { maxBlockRows: BATCH_ROWS / 2 },
        }),
      },
    }),
  );
  s3.target = local.aws.url;

  const workers: ChildService[] = [local.ingest];
  const gone = new Set<ChildService>();
  const watch = (service: ChildService): ChildService => {
    void service.exited.then(() => gone.add(service));
    return service;
  };
  watch(local.ingest);
  watch(local.control);
  while (workers.length < options.workers) workers.push(watch(await local.startIngest()));
  // SIGKILL also reaches those that stand still.
  started.defer(async () => void (await Promise.all(workers.map((worker) => worker.kill()))));

  const clickhouse = createClient({
    url: server.url,
    username: admin.name,
    password: admin.password,
    request_timeout: 10_000,
    log: { level: ClickHouseLogLevel.OFF },
    clickhouse_settings: { output_format_json_quote_64bit_integers: 0 },
  });
  started.defer(async () => await clickhouse.close());
  const rows = async <T>(query: string): Promise<T[]> =>
    await (await clickhouse.query({ query, format: "JSONEachRow" })).json<T>();

  const clients = clientsOf(local.url, local.adminKey);
  const identity = await clients.credentials.getPlatformIdentity({});
  const customer = await createCustomer(local.aws, {
    bucket: "chaos-exports",
    roleName: "sluice-reader",
    ...identity,
  });
  const owner = new S3Client({
    endpoint: local.aws.url,
    region: local.aws.region,
    forcePathStyle: true,
    credentials: local.aws.adminKeys,
  });
  started.defer(() => owner.destroy());
  const value = { targetRoleArn: customer.roleArn, bucket: customer.bucket };
  const { credential } = await clients.credentials.createCredential({
    credential: { name: "Chaos", kind: { case: "iamRoleToRole", value } },
  });
  const { privateKey: key } = await generateKey({
    userIDs: [{ name: "Chaos" }],
    type: "curve25519",
    format: "object",
  });
  const { credential: pgp } = await clients.credentials.createCredential({
    credential: { name: "Key", kind: { case: "pgp", value: { privateKeyBlock: key.armor() } } },
  });

  const running = started.move();
  return {
    ...clients,
    s3,
    warehouse,
    crash,
    aws: local.aws,
    customer,
    credentialId: credential?.id ?? "",
    keys: { key, credentialId: pgp?.id ?? "" },
    clickhouse,
    workers,
    spoolDir,
    rows,
    get server() {
      return server;
    },
    get control() {
      return local.control;
    },
    async remove(Key) {
      await owner.send(new DeleteObjectCommand({ Bucket: customer.bucket, Key }));
    },
    async supervise() {
      if (isServerGone) {
        const { httpPort } = server;
        server = await startLocalClickHouse({ dataDir: clickhouseDir, httpPort });
        watchServer();
      }
      if (gone.delete(local.control)) watch(await local.startControl());
      for (const [at, worker] of workers.entries()) {
        if (gone.delete(worker)) workers[at] = watch(await local.startIngest());
      }
    },
    spools: () => readdirSync(spoolDir),
    [Symbol.asyncDispose]: async () => await running.disposeAsync(),
  };
}

function clientsOf(baseUrl: string, adminKey: string): Clients {
  const transport = createGrpcTransport({
    baseUrl,
    interceptors: [withKey(adminKey)],
    // A control that died and came back must not be called over the old connection for long.
    pingIntervalMs: 500,
    pingTimeoutMs: 500,
    defaultTimeoutMs: 10_000,
  });
  return {
    credentials: createApiClient(CredentialService, transport),
    feeds: createApiClient(FeedService, transport),
    couriers: createApiClient(CourierService, transport),
    workflows: createApiClient(WorkflowService, transport),
  };
}
