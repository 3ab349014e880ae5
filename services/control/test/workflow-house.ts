import { randomBytes, randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, type Message, type MessageInitShape, toJsonString } from "@bufbuild/protobuf";
import { type Client, createClient, createRouterTransport } from "@connectrpc/connect";
import { CourierSchema, LoadOperation } from "@sluice/api/control/v1/courier_pb";
import { RunCourierRequestSchema } from "@sluice/api/control/v1/courier_service_pb";
import { FeedSpecSchema } from "@sluice/api/control/v1/feed_pb";
import type { FileSettingsSchema } from "@sluice/api/control/v1/file_settings_pb";
import { WorkflowService } from "@sluice/api/control/v1/workflow_service_pb";
import { ConnectionSchema, type Lease, PgpKeysSchema } from "@sluice/api/ingest/v1/task_pb";
import { TaskService } from "@sluice/api/ingest/v1/task_service_pb";
import pg from "pg";
import { pino } from "pino";
import { updateCourierIn } from "../src/couriers/courier-service.ts";
import type { Database, DatabaseOptions } from "../src/database/database.ts";
import { createSecretBox } from "../src/secrets/secret-box.ts";
import {
  createWorkflowEngine,
  type WorkflowEngine,
  type WorkflowEngineOptions,
} from "../src/workflow/workflow-engine.ts";

const SERVER = "postgres://postgres@127.0.0.1:5432/";

/** Whether a PostgreSQL server answers where tests look for one. */
export async function hasPostgres(): Promise<boolean> {
  const client = new pg.Client({ connectionString: `${SERVER}test` });
  try {
    await client.connect();
    await client.end();
    return true;
  } catch {
    // No server: its tests are skipped, and the report says so.
    return false;
  }
}

async function onServer(statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: `${SERVER}test` });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

/** A place for state that nobody else uses. */
export interface StatePlace extends AsyncDisposable {
  readonly options: DatabaseOptions;
}

export async function makeStatePlace(kind: "PGlite" | "PostgreSQL"): Promise<StatePlace> {
  if (kind === "PGlite") {
    const dataDir = mkdtempSync(join(tmpdir(), "sluice-workflow-"));
    return {
      options: { dataDir },
      async [Symbol.asyncDispose]() {
        rmSync(dataDir, { recursive: true, force: true });
      },
    };
  }
  const name = `workflow_${randomBytes(6).toString("hex")}`;
  await onServer(`create database ${name}`);
  return {
    options: { databaseUrl: `${SERVER}${name}` },
    [Symbol.asyncDispose]: () => onServer(`drop database ${name} with (force)`),
  };
}

export interface CourierSketch {
  /** Feeds by name, each with the tag of the file it is loaded from, or those that a query reads. */
  readonly loads: Readonly<Record<string, string | readonly string[]>>;
  readonly operation?: LoadOperation;
  /** What of the feeds differs from the plainest. */
  readonly spec?: Exclude<MessageInitShape<typeof FeedSpecSchema>, Message>;
  /** How a file is opened, by its tag; as delimited text if not said. */
  readonly settings?: Readonly<Record<string, MessageInitShape<typeof FileSettingsSchema>>>;
}

export interface RunOptions {
  readonly date?: string;
  readonly requestId?: string;
  readonly skipMissingFiles?: boolean;
  readonly reloadUnchanged?: boolean;
}

/** A tenant of its own with an engine: tests in one database don't see each other. */
export interface House extends AsyncDisposable {
  readonly tenant: string;
  readonly engine: WorkflowEngine;
  readonly tasks: Client<typeof TaskService>;
  readonly workflows: Client<typeof WorkflowService>;
  /** Makes a courier with its feeds, active; gives its id. Feeds are shared by name. */
  courier(sketch: CourierSketch): Promise<string>;
  run(courierId: string, request?: RunOptions): Promise<string>;
  claim(worker: string, options?: { capacity?: number; waitMs?: number }): Promise<Lease[]>;
}

export function openHouse(
  database: Database,
  options: Partial<WorkflowEngineOptions> = {},
  tenant: string = `tenant-${randomUUID()}`,
): House {
  const { kysely } = database;
  const engine = createWorkflowEngine({
    kysely,
    tenant: () => tenant,
    tenants: () => [tenant],
    log: pino({ level: "silent" }),
    secretBox: createSecretBox(Buffer.alloc(32, 7)),
    taskSecrets: {
      connection: async (id) =>
        create(ConnectionSchema, {
          bucket: "orders",
          access: { case: "key", value: { accessKeyId: id, secretAccessKey: "s3cret" } },
        }),
      pgpKeys: async () => create(PgpKeysSchema, { passphrase: "pass" }),
    },
    edits: {
      checkCourier: async () => undefined,
      updateCourier: (trx, request) => updateCourierIn(trx, tenant, request),
      updateCredential: () => Promise.reject(new Error("no credential is changed here")),
    },
    pinObjects: async () => new Map(),
    uploads: {
      begin: () => Promise.reject(new Error("nothing is uploaded here")),
      part: () => Promise.reject(new Error("nothing is uploaded here")),
      complete: () => Promise.reject(new Error("nothing is uploaded here")),
      abort: async () => undefined,
    },
    leaseMs: 60_000,
    retry: { firstDelayMs: 20 },
    ...options,
  });
  engine.start();
  const transport = createRouterTransport((router) => {
    router.service(TaskService, engine.taskService);
    router.service(WorkflowService, engine.workflowService);
  });
  const tasks = createClient(TaskService, transport);
  return {
    tenant,
    engine,
    tasks,
    workflows: createClient(WorkflowService, transport),
    courier: (sketch) => makeCourier(database, tenant, sketch),
    async run(courierId, { date = "2026-03-01", ...request } = {}) {
      const { workflowId } = await engine.runCourier(
        create(RunCourierRequestSchema, {
          id: courierId,
          scope: { case: "date", value: date },
          ...request,
        }),
      );
      return workflowId;
    },
    async claim(workerId, { capacity = 10, waitMs = 0 } = {}) {
      const wait = { seconds: BigInt(Math.floor(waitMs / 1000)), nanos: (waitMs % 1000) * 1e6 };
      return (await tasks.claimTasks({ workerId, capacity, wait })).leases;
    },
    [Symbol.asyncDispose]: () => engine.stop(),
  };
}

const SPEC = {
  fields: [{ incomingName: "id", type: { type: { case: "integer", value: {} } } }],
  primaryKey: ["id"],
} satisfies MessageInitShape<typeof FeedSpecSchema>;

async function makeCourier(
  { kysely }: Database,
  tenant: string,
  { loads, operation = LoadOperation.LOAD, spec = {}, settings }: CourierSketch,
): Promise<string> {
  const own = { tenant, etag: "e" };
  const named = (name: string): { name: string; name_key: string } => ({ name, name_key: name });
  await kysely
    .insertInto("credential")
    .values({
      ...own,
      ...named("bucket"),
      id: "cred",
      description: "",
      plugin: "amazon-s3",
      kind: JSON.stringify({ accessKey: { accessKeyId: "id", bucket: "orders" } }),
    })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  await kysely
    .insertInto("source")
    .values({ ...own, ...named("shop"), id: "source" })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  for (const name of Object.keys(loads)) {
    await kysely
      .insertInto("feed")
      .values({ ...own, ...named(name), id: name, source_id: "source", version: 1 })
      .onConflict((conflict) => conflict.doNothing())
      .execute();
    await kysely
      .insertInto("feed_version")
      .values({
        tenant,
        feed_id: name,
        version: 1,
        spec: toJsonString(FeedSpecSchema, create(FeedSpecSchema, { ...SPEC, ...spec })),
      })
      .onConflict((conflict) => conflict.doNothing())
      .execute();
  }
  const id = `courier-${randomUUID()}`;
  const courier = create(CourierSchema, {
    prefix: "in/",
    files: (settings === undefined
      ? [...new Set(Object.values(loads).flat())]
      : Object.keys(settings)
    ).map((tag) => ({
      tag,
      selection: { case: "pattern" as const, value: `'${tag}-'yyyyMMdd'*'` },
      settings: settings?.[tag] ?? { format: { case: "delimited" as const, value: {} } },
    })),
    loads: Object.entries(loads).map(([feedId, tags]) => ({
      feed: { case: "feedId" as const, value: feedId },
      operation,
      ...(typeof tags === "string"
        ? { fileTag: tags }
        : { ingestQuery: { sql: "SELECT 1", fileTags: [...tags] } }),
    })),
  });
  await kysely
    .insertInto("courier")
    .values({
      ...own,
      ...named(id),
      id,
      credential_id: "cred",
      spec: toJsonString(CourierSchema, courier),
    })
    .execute();
  return id;
}

/** Found objects as a listing gives them: `key` or `day/key`; each too large to be loaded together with others. */
export function objectsOf(
  tag: string,
  ...keys: readonly string[]
): {
  bucket: string;
  key: string;
  etag: string;
  size: bigint;
  date: string;
  fileTag: string;
}[] {
  return keys.map((key) => ({
    bucket: "orders",
    key,
    etag: `"${key}"`,
    size: 2_000_000n,
    date: key.includes("/") ? (key.split("/")[0] ?? "") : "2026-03-01",
    fileTag: tag,
  }));
}

/** A worker that does whatever it is given, well: each load has ten rows, one of them rejected. */
export async function doWell(
  house: House,
  lease: Lease,
  found: ReturnType<typeof objectsOf> = [],
): Promise<void> {
  const { tasks } = house;
  const { taskId, attempt } = lease;
  switch (lease.work.case) {
    case "list":
      if (found.length > 0)
        await tasks.appendManifest({ taskId, attempt, page: 0, objects: found });
      await tasks.completeTask({
        taskId,
        attempt,
        result: { case: "list", value: { objects: BigInt(found.length) } },
      });
      break;
    case "loadObject":
    case "replayRejects":
    case "ingestQuery":
      await tasks.completeTask({
        taskId,
        attempt,
        result: {
          case: "loadObject",
          value: { checkpoint: { batches: 2n, rows: 10n, rejectedRows: 1n }, route: "delimited" },
        },
      });
      break;
    case "publish":
      await tasks.recordPublishIntent({
        taskId,
        attempt,
        intent: { stagingUuid: `staging-${taskId}`, rowsUuid: "rows" },
      });
      await tasks.completeTask({ taskId, attempt, result: { case: "publish", value: {} } });
      break;
    case "discard":
      await tasks.completeTask({ taskId, attempt, result: { case: "discard", value: {} } });
      break;
    default:
      throw new Error("a lease without work");
  }
}

/** Works until nothing is left to claim; gives the work in the order it was done. */
export async function doAll(
  house: House,
  found: ReturnType<typeof objectsOf> = [],
): Promise<Lease[]> {
  const done: Lease[] = [];
  for (;;) {
    const leases = await house.claim("diligent");
    if (leases.length === 0) return done;
    for (const lease of leases) {
      await doWell(house, lease, found);
      done.push(lease);
    }
  }
}
