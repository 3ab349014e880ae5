import { Code, ConnectError, type ConnectRouter, createContextValues } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { AccessService } from "@sluice/api/control/v1/access_service_pb";
import { CourierGroupService } from "@sluice/api/control/v1/courier_group_service_pb";
import { CourierService } from "@sluice/api/control/v1/courier_service_pb";
import { CredentialService } from "@sluice/api/control/v1/credential_service_pb";
import { CustomDomainTableService } from "@sluice/api/control/v1/custom_domain_table_service_pb";
import { DomainTableService } from "@sluice/api/control/v1/domain_table_service_pb";
import { FeedService } from "@sluice/api/control/v1/feed_service_pb";
import { NotificationService } from "@sluice/api/control/v1/notification_service_pb";
import { SourceService } from "@sluice/api/control/v1/source_service_pb";
import { WorkflowService } from "@sluice/api/control/v1/workflow_service_pb";
import { Health } from "@sluice/api/grpc/health/v1/health_pb";
import { TaskService } from "@sluice/api/ingest/v1/task_service_pb";
import { createLog } from "@sluice/telemetry";
import { sql } from "kysely";
import type { Logger } from "pino";
import { createAccess } from "./access/access.ts";
import { ADDRESS } from "./access/caller.ts";
import { provideFirstKeys } from "./access/first-key.ts";
import { readOrMakeWorkerKey } from "./access/worker-key.ts";
import { type ControlConfig, controlDirectory } from "./config.ts";
import type { ControlContext } from "./context.ts";
import {
  checkCourierUpdate,
  createCourierService,
  updateCourierIn,
} from "./couriers/courier-service.ts";
import { connectionOf, pgpKeysOf } from "./credentials/credential-access.ts";
import { createCredentialService, updateCredential } from "./credentials/credential-service.ts";
import { registerTenant } from "./credentials/platform-identity.ts";
import { type Database, openDatabase } from "./database/database.ts";
import { createFeedService } from "./feeds/feed-service.ts";
import { createGroups } from "./groups/groups.ts";
import { recordRunEnding } from "./groups/run-refreshes.ts";
import { createInspector } from "./inspect.ts";
import { createNotifications } from "./notifications/notifications.ts";
import { recordEnding } from "./notifications/workflow-ending.ts";
import { masterKeyFromKms } from "./secrets/kms.ts";
import { readOrMakeMasterKey } from "./secrets/master-key.ts";
import type { MasterKeySetting } from "./secrets/master-key-setting.ts";
import { assertMasterKeys, rewrapSecrets } from "./secrets/rewrap.ts";
import { createSecretBox, type SecretBox } from "./secrets/secret-box.ts";
import { translateErrors } from "./server/errors.ts";
import { healthRoutes } from "./server/health.ts";
import { listen } from "./server/listen.ts";
import { refuseMalformed } from "./server/malformed.ts";
import { reflectionRoutes } from "./server/reflection.ts";
import { validateRequests, warmUp } from "./server/validation.ts";
import { createSourceService } from "./sources/source-service.ts";
import { createCustomTableService } from "./tables/custom-table-service.ts";
import { createDomainTableService } from "./tables/domain-table-service.ts";
import { createControlMetrics } from "./telemetry/control-metrics.ts";
import {
  type Operating,
  startOperating,
  tellEnding,
  traceParentOf,
} from "./telemetry/operating.ts";
import { watchCalls } from "./telemetry/watch-calls.ts";
import { currentTenant } from "./tenant.ts";
import { EVERY_TENANT, liveInspectUrls } from "./workers.ts";
import { pinObjects } from "./workflow/actions/pin-objects.ts";
import { createUploadArea } from "./workflow/actions/uploads.ts";
import { createWorkflowEngine, type WorkflowEngine } from "./workflow/workflow-engine.ts";

/** A control service that answers. */
export interface Control {
  /** Where it listens: http or https, without a path. */
  readonly url: string;
  /** Where metrics and health are told. */
  readonly probeUrl: string;
  /** Ends what waits, lets running calls finish within the grace time, and closes the state. */
  close(): Promise<void>;
}

const SERVICES = [
  AccessService,
  CredentialService,
  SourceService,
  FeedService,
  CourierService,
  CourierGroupService,
  WorkflowService,
  NotificationService,
  DomainTableService,
  CustomDomainTableService,
  TaskService,
];

/** Starts the control service. The logger takes the place of one on stderr. */
export async function startControl(config: ControlConfig, logger?: Logger): Promise<Control> {
  const log = logger ?? createLog("control", config.logLevel);
  const operating = await startOperating(config);
  try {
    return await open(config, operating, log);
  } catch (error) {
    await operating.close();
    throw error;
  }
}

async function open(config: ControlConfig, operating: Operating, log: Logger): Promise<Control> {
  const directory = controlDirectory(config);
  const database = await openDatabase(
    config.databaseUrl === undefined
      ? { dataDir: directory }
      : {
          databaseUrl: config.databaseUrl,
          onIdleError: (error) => log.warn({ err: error }, "database connection lost"),
        },
  );
  try {
    const secrets = await openSecretBox(config, database.kysely);
    const { tenants, adminKeyFile, newAdminKey } = config.access;
    for (const tenant of tenants) await registerTenant(database.kysely, tenant, secrets.keyId);
    await assertMasterKeys(database.kysely, secrets);
    if (config.rewrapSecrets) await rewrapSecrets(database.kysely, secrets, log);
    await provideFirstKeys({
      kysely: database.kysely,
      log,
      tenants,
      file: adminKeyFile,
      makeAnother: newAdminKey,
    });
    return await serve(config, database, secrets, operating, log);
  } catch (error) {
    await database.close();
    throw error;
  }
}

/** The master key that seals, and those that only open. */
async function openSecretBox(
  config: ControlConfig,
  kysely: Database["kysely"],
): Promise<SecretBox> {
  const open = async (setting: MasterKeySetting): Promise<Uint8Array> =>
    setting.kind === "bytes"
      ? setting.key
      : await masterKeyFromKms(kysely, setting.kmsKey, config.kms);
  const masterKey =
    config.masterKey === undefined
      ? readOrMakeMasterKey(controlDirectory(config))
      : await open(config.masterKey);
  return createSecretBox(masterKey, await Promise.all(config.furtherMasterKeys.map(open)));
}

async function serve(
  config: ControlConfig,
  database: Database,
  secrets: ControlContext["secrets"],
  operating: Operating,
  log: Logger,
): Promise<Control> {
  const { kysely, handle } = database;
  const shutdown = new AbortController();
  const workerKey = config.access.workerKey ?? readOrMakeWorkerKey(config.access.workerKeyFile);
  const tenants = (): readonly string[] => config.access.tenants;
  const { registry, tracing, probes } = operating;
  const metrics = createControlMetrics(registry, kysely);
  const access = createAccess({
    ...config.access,
    ...{ kysely, log, workerKey },
    longestCallMs: config.maxTimeoutMs,
    onAuditFailure: () => metrics.auditFailures.inc(),
  });
  const inspect = createInspector({
    workerKey,
    findUrls: () => liveInspectUrls(kysely, EVERY_TENANT),
  });
  const context: ControlContext = {
    kysely,
    handle,
    secrets,
    inspect,
    log,
    platformRoleArn: config.platformRoleArn,
    allowedEndpoints: new Set(config.allowedEndpoints),
    tenant: currentTenant,
    shutdown: shutdown.signal,
  };
  const notifications = createNotifications({
    kysely,
    tenant: currentTenant,
    tenants,
    secrets,
    log,
    allowedWebhookHosts: new Set(config.allowedWebhookHosts),
    webhookRetryMs: config.webhookRetryMs,
    shutdown: shutdown.signal,
  });
  const engine = createWorkflowEngine({
    kysely,
    tenants,
    log,
    leaseMs: config.leaseMs,
    retry: { maxAttempts: config.maxAttempts, firstDelayMs: config.retryDelayMs },
    fileWaitPauseMs: config.fileWaitPauseMs,
    endings: {
      record: async (trx, workflowId) => {
        await recordRunEnding(trx, currentTenant(), workflowId);
        await recordEnding(trx, currentTenant(), workflowId);
      },
      ring: (ended) => {
        tellEnding(metrics, tracing, ended);
        notifications.ring();
        groups.ring();
      },
    },
    onLeaseLost: () => metrics.leasesLost.inc(),
    traceParentOf: traceParentOf(tracing),
    secretBox: secrets,
    taskSecrets: {
      connection: (credentialId) => connectionOf(context, credentialId),
      pgpKeys: (credentialId) => pgpKeysOf(context, credentialId),
    },
    keepFailedMs: config.keepFailedMs,
    uploads: createUploadArea(context),
    maxUploadBytes: config.maxUploadBytes,
    edits: {
      checkCourier: (request) => checkCourierUpdate(context, request),
      updateCourier: (trx, request) => updateCourierIn(trx, context.tenant(), request),
      updateCredential: async (request) => void (await updateCredential(context, request)),
    },
    pinObjects: (credentialId, keys) => pinObjects(context, credentialId, keys),
  });
  const groups = createGroups({
    kysely,
    tenant: currentTenant,
    tenants,
    secrets,
    log,
    engine,
    newsRing: () => notifications.ring(),
  });
  warmUp(SERVICES);
  // Not in the library's type, and taken by it all the same.
  const jsonOptions = {
    ignoreUnknownFields: true,
    textDecoder: new TextDecoder("utf-8", { fatal: true }),
  };
  const listener = await listen({
    host: config.host,
    port: config.port,
    idleTimeoutMs: config.idleTimeoutMs,
    ...(config.tls === undefined ? {} : { tls: config.tls }),
    handler: connectNodeAdapter({
      routes: (router) => {
        route(router, context, engine, config);
        router.service(AccessService, access.service);
        router.service(CourierGroupService, groups.service);
        router.service(NotificationService, notifications.service);
      },
      interceptors: [
        watchCalls(metrics, tracing),
        translateErrors(log),
        access.interceptor,
        validateRequests,
      ],
      requestGate: refuseMalformed((method) =>
        metrics.calls.inc({ method, code: "invalid_argument" }),
      ),
      contextValues: (request) =>
        createContextValues().set(ADDRESS, request.socket.remoteAddress ?? ""),
      // Text that is not UTF-8 is refused, as it is in binary, and not repaired into something else.
      jsonOptions,
      readMaxBytes: config.readMaxBytes,
      writeMaxBytes: config.writeMaxBytes,
      maxTimeoutMs: config.maxTimeoutMs,
      shutdownSignal: shutdown.signal,
    }),
  });
  engine.start();
  access.start();
  groups.start();
  notifications.start();
  operating.open(kysely, shutdown.signal);
  log.info({ url: listener.url, probes: probes.url, database: handle.kind }, "listening");
  return {
    url: listener.url,
    probeUrl: probes.url,
    close: async () => {
      shutdown.abort(new ConnectError("the server is stopping", Code.Unavailable));
      try {
        // Both at once: calls that wait for the engine end because it stops.
        await Promise.all([
          listener.close(config.shutdownGraceMs),
          engine.stop(),
          access.stop(),
          groups.stop(),
          notifications.stop(),
        ]);
      } finally {
        inspect.close();
        await database.close();
        await operating.close();
        log.info("stopped");
      }
    },
  };
}

function route(
  router: ConnectRouter,
  context: ControlContext,
  engine: WorkflowEngine,
  config: ControlConfig,
): void {
  router.service(CredentialService, createCredentialService(context));
  router.service(SourceService, createSourceService(context));
  router.service(FeedService, {
    ...createFeedService(context),
    compareFeedVersions: (request) => engine.compareFeedVersions(request),
    getComparison: (request) => engine.getComparison(request),
  });
  router.service(CourierService, {
    ...createCourierService(context),
    runCourier: (request) => engine.runCourier(request),
  });
  router.service(DomainTableService, {
    ...createDomainTableService(context),
    listLoads: (request) => engine.listLoads(request),
    replayRejects: (request) => engine.replayRejects(request),
    undoLoad: (request) => engine.undoLoad(request),
    deleteRows: (request) => engine.deleteRows(request),
    truncateDomainTable: (request) => engine.truncateDomainTable(request),
    purgeDomainTable: (request) => engine.purgeDomainTable(request),
  });
  router.service(CustomDomainTableService, {
    ...createCustomTableService(context),
    publishCustomDomainTable: (request) => engine.publishCustomTable(request),
  });
  router.service(WorkflowService, engine.workflowService);
  router.service(TaskService, engine.taskService);
  healthRoutes(router, {
    services: SERVICES,
    probe: async () => {
      await sql`select 1`.execute(context.kysely);
    },
    shutdown: context.shutdown,
  });
  if (config.reflection) {
    reflectionRoutes(router, [...SERVICES, Health]);
  }
}
