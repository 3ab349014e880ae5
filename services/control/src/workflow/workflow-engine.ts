import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import type { RunCourierRequest } from "@sluice/api/control/v1/courier_service_pb";
import type { PublishCustomDomainTableRequest } from "@sluice/api/control/v1/custom_domain_table_service_pb";
import type {
  DeleteRowsRequest,
  ListLoadsRequest,
  ListLoadsResponseSchema,
  PurgeDomainTableRequest,
  ReplayRejectsRequest,
  TruncateDomainTableRequest,
  UndoLoadRequest,
} from "@sluice/api/control/v1/domain_table_service_pb";
import type { FeedComparison } from "@sluice/api/control/v1/feed_comparison_pb";
import type {
  CompareFeedVersionsRequest,
  GetComparisonRequest,
} from "@sluice/api/control/v1/feed_service_pb";
import type { WorkflowService } from "@sluice/api/control/v1/workflow_service_pb";
import type { TaskService } from "@sluice/api/ingest/v1/task_service_pb";
import type { Kysely } from "kysely";
import type { Logger } from "pino";
import type { Schema } from "../database/schema.ts";
import type { SecretBox } from "../secrets/secret-box.ts";
import { currentTenant, eachTenant, type Tenant } from "../tenant.ts";
import { createWorkerRecorder, EVERY_TENANT } from "../workers.ts";
import { giveUpExpired } from "./actions/expire.ts";
import { beginMember, type NewMember } from "./begin-member.ts";
import { beginRefresh, type NewRefresh } from "./begin-refresh.ts";
import { createBell, createWorkflowBells } from "./bell.ts";
import { compareFeedVersions } from "./compare-feed-versions.ts";
import type {
  EngineContext,
  ResourceEdits,
  TaskSecrets,
  Trx,
  UploadArea,
  WorkflowEndings,
} from "./context.ts";
import { getComparison } from "./feed-comparison.ts";
import { listLoads } from "./list-loads.ts";
import { replayRejects } from "./replay-rejects.ts";
import { runCourier } from "./run-courier.ts";
import { DEFAULT_RETRY_POLICY, type RetryPolicy } from "./state-machine.ts";
import {
  deleteRows,
  publishCustomTable,
  purgeDomainTable,
  truncateDomainTable,
  undoLoad,
} from "./table-changes.ts";
import { takeLostLeases } from "./task-outcome.ts";
import { createTaskService } from "./task-service.ts";
import { cancelWorkflow, createWorkflowService } from "./workflow-service.ts";

/** The least pause between two looks for lost leases. */
const SHORTEST_SWEEP_MS = 20;

export interface WorkflowEngineOptions {
  readonly kysely: Kysely<Schema>;
  /** Opens credentials for claimed tasks. */
  readonly taskSecrets: TaskSecrets;
  /** Keeps what was asked for with a request id. */
  readonly secretBox: SecretBox;
  readonly log: Logger;
  /** Whose workflow a call is about. That of the caller's credential when not set. */
  readonly tenant?: () => Tenant;
  /** Whose tasks workers get, and whose workflows are looked after. */
  readonly tenants: () => readonly Tenant[];
  /**
   * How long a worker may be silent before its tasks are given to others. Workers should send a
   * heartbeat at least three times as often. Default 15,000.
   */
  readonly leaseMs?: number;
  /** How couriers and credentials are changed by a resolution. */
  readonly edits: ResourceEdits;
  /** Where files are kept that stand in the place of customers' files. */
  readonly uploads: UploadArea;
  /** Bytes of the largest of them. Default 5 GiB. */
  readonly maxUploadBytes?: number;
  /** Which versions are in a credential's bucket now; what is not there is left out. */
  readonly pinObjects: EngineContext["pinObjects"];
  /** How long a failed workflow may be resumed, and keeps what it staged. Default 604,800,000: 7 days. */
  readonly keepFailedMs?: number;
  /** When failed attempts are repeated; what is not set keeps its default. */
  readonly retry?: Partial<RetryPolicy>;
  /** How often waiting calls look for what other replicas did. Default 1,000. */
  readonly pollMs?: number;
  /** Reports of progress without a new checkpoint are kept at most so often for a task. Default 500. */
  readonly progressIntervalMs?: number;
  /** The least time between two events of a watched workflow, but for its end. Default 200. */
  readonly watchIntervalMs?: number;
  /** The pause before a list that missed files which may still come is tried again. Default 60,000. */
  readonly fileWaitPauseMs?: number;
  /** Hears of workflows that have ended. */
  readonly endings?: WorkflowEndings;
  readonly onLeaseLost?: () => void;
  /** The place of a workflow in its trace, which its tasks go along with; empty when not set. */
  readonly traceParentOf?: (workflowId: string) => string;
}

/** Runs couriers: keeps workflows, hands tasks to workers, shows how far it all is. */
export interface WorkflowEngine {
  readonly workflowService: ServiceImpl<typeof WorkflowService>;
  readonly taskService: ServiceImpl<typeof TaskService>;
  /**
   * Begins a workflow of a courier in a caller's transaction, after which the caller rings `ringTasks`.
   * NOT_FOUND and FAILED_PRECONDITION, as RunCourier gives them, leave the transaction usable.
   */
  beginMember(trx: Trx, member: NewMember): Promise<string>;
  /** Begins the publish of a custom domain table in the same way; NOT_FOUND when there is none. */
  beginRefresh(trx: Trx, refresh: NewRefresh): Promise<string>;
  /** Wakes workers that wait for tasks. */
  ringTasks(): void;
  /** WorkflowService.CancelWorkflow. */
  cancel(workflowId: string): Promise<void>;
  /** CourierService.RunCourier. */
  runCourier(request: RunCourierRequest): Promise<{ readonly workflowId: string }>;
  /** DomainTableService.ReplayRejects. */
  replayRejects(request: ReplayRejectsRequest): Promise<{ readonly workflowId: string }>;
  /** DomainTableService.UndoLoad. */
  undoLoad(request: UndoLoadRequest): Promise<{ readonly workflowId: string }>;
  /** DomainTableService.DeleteRows. */
  deleteRows(request: DeleteRowsRequest): Promise<{ readonly workflowId: string }>;
  /** DomainTableService.TruncateDomainTable. */
  truncateDomainTable(
    request: TruncateDomainTableRequest,
  ): Promise<{ readonly workflowId: string }>;
  /** CustomDomainTableService.PublishCustomDomainTable. */
  publishCustomTable(
    request: PublishCustomDomainTableRequest,
  ): Promise<{ readonly workflowId: string }>;
  /** DomainTableService.PurgeDomainTable. */
  purgeDomainTable(request: PurgeDomainTableRequest): Promise<{ readonly workflowId: string }>;
  /** DomainTableService.ListLoads. */
  listLoads(request: ListLoadsRequest): Promise<MessageInitShape<typeof ListLoadsResponseSchema>>;
  /** FeedService.CompareFeedVersions. */
  compareFeedVersions(
    request: CompareFeedVersionsRequest,
  ): Promise<{ readonly workflowId: string }>;
  /** FeedService.GetComparison. */
  getComparison(request: GetComparisonRequest): Promise<{ readonly comparison: FeedComparison }>;
  /** Begins to take back leases that run out; workers get one lease's time to renew theirs first. */
  start(): void;
  /** Ends waiting claims with nothing and watches with UNAVAILABLE, and waits for what it began. */
  stop(): Promise<void>;
}

export function createWorkflowEngine(options: WorkflowEngineOptions): WorkflowEngine {
  const { kysely, log } = options;
  const tenant = options.tenant ?? currentTenant;
  const leaseMs = options.leaseMs ?? 15_000;
  const stopping = new AbortController();
  const timers = new Set<NodeJS.Timeout>();
  const taskBell = createBell();
  const context: EngineContext = {
    kysely,
    log,
    leaseMs,
    tenant,
    tenants: options.tenants,
    secrets: options.taskSecrets,
    requests: { kysely, tenant, secrets: options.secretBox },
    recordWorker: createWorkerRecorder(kysely, EVERY_TENANT),
    edits: options.edits,
    uploads: options.uploads,
    maxUploadBytes: options.maxUploadBytes ?? 5 * 2 ** 30,
    pinObjects: options.pinObjects,
    keepFailedMs: options.keepFailedMs ?? 7 * 24 * 3_600_000,
    retry: { ...DEFAULT_RETRY_POLICY, ...options.retry },
    pollMs: options.pollMs ?? 1_000,
    progressIntervalMs: options.progressIntervalMs ?? 500,
    watchIntervalMs: options.watchIntervalMs ?? 200,
    fileWaitPauseMs: options.fileWaitPauseMs ?? 60_000,
    endings: options.endings,
    onLeaseLost: options.onLeaseLost,
    traceParentOf: options.traceParentOf ?? (() => ""),
    taskBell,
    workflowBells: createWorkflowBells(),
    ringTasksLater: (delayMs) => later(delayMs, () => taskBell.ring()),
    stopped: stopping.signal,
  };

  function later(delayMs: number, work: () => void): void {
    if (stopping.signal.aborted) return;
    const timer = setTimeout(() => {
      timers.delete(timer);
      work();
    }, delayMs);
    timer.unref();
    timers.add(timer);
  }

  // A lease given meanwhile runs out no sooner than this can notice.
  const longestSweepMs = Math.min(1_000, leaseMs / 4);
  let sweep: Promise<void> = Promise.resolve();
  function sweepAfter(delayMs: number): void {
    later(delayMs, () => {
      sweep = eachTenant(options.tenants(), async () => {
        await giveUpExpired(context);
        return await takeLostLeases(context);
      })
        // The database may be away for a while: the next round finds the same leases.
        .catch((error: unknown) => {
          log.warn({ err: error }, "expired leases and workflows were not looked for");
          return undefined;
        })
        .then((leftMs = longestSweepMs) =>
          sweepAfter(Math.min(Math.max(leftMs, SHORTEST_SWEEP_MS), longestSweepMs)),
        );
    });
  }

  return {
    workflowService: createWorkflowService(context),
    taskService: createTaskService(context),
    beginMember: (trx, member) => beginMember(context, trx, member),
    beginRefresh: (trx, refresh) => beginRefresh(context, trx, refresh),
    ringTasks: () => taskBell.ring(),
    cancel: (workflowId) => cancelWorkflow(context, workflowId),
    runCourier: (request) => runCourier(context, request),
    replayRejects: (request) => replayRejects(context, request),
    undoLoad: (request) => undoLoad(context, request),
    deleteRows: (request) => deleteRows(context, request),
    truncateDomainTable: (request) => truncateDomainTable(context, request),
    publishCustomTable: (request) => publishCustomTable(context, request),
    purgeDomainTable: (request) => purgeDomainTable(context, request),
    listLoads: (request) => listLoads(context, request),
    compareFeedVersions: (request) => compareFeedVersions(context, request),
    getComparison: (request) => getComparison(context, request),
    start: () => sweepAfter(leaseMs),
    async stop() {
      stopping.abort();
      for (const timer of timers) clearTimeout(timer);
      timers.clear();
      await sweep;
    },
  };
}
