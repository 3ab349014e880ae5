import type { UpdateCourierRequest } from "@sluice/api/control/v1/courier_service_pb";
import type { UpdateCredentialRequest } from "@sluice/api/control/v1/credential_service_pb";
import type { Connection, PgpKeys } from "@sluice/api/ingest/v1/task_pb";
import type { Kysely, Selectable, Transaction } from "kysely";
import type { Logger } from "pino";
import type { Schema, TaskTable, WorkflowTable } from "../database/schema.ts";
import type { RequestContext } from "../resources/request-id.ts";
import type { Tenant } from "../tenant.ts";
import type { Bell, WorkflowBells } from "./bell.ts";
import type { RetryPolicy, WorkflowState } from "./state-machine.ts";

export type WorkflowRow = Selectable<WorkflowTable>;
export type TaskRow = Selectable<TaskTable>;
export type Trx = Transaction<Schema>;

/**
 * Opens credentials at the moment a task is claimed: what they hold is never kept with a workflow.
 * Both throw when the credential is gone or can't be opened.
 */
export interface TaskSecrets {
  connection(credentialId: string): Promise<Connection>;
  pgpKeys(credentialId: string): Promise<PgpKeys>;
}

/** A workflow that has ended, in the words that anybody may hear. */
export interface EndedWorkflow {
  readonly id: string;
  readonly state: WorkflowState;
  /** When its first task was claimed; null when none was. */
  readonly startTime: Date | null;
}

/** Hears of workflows that have ended. */
export interface WorkflowEndings {
  /** In the transaction that ends the workflow, as its last statement. */
  record(trx: Trx, workflowId: string): Promise<void>;
  /** Once that transaction is durable. */
  ring(ended: EndedWorkflow): void;
}

/** Changes of couriers and credentials that resolve an action: as their services make them. */
export interface ResourceEdits {
  /** What a worker has to judge of the change, before a transaction is begun. */
  checkCourier(request: UpdateCourierRequest): Promise<void>;
  updateCourier(trx: Trx, request: UpdateCourierRequest): Promise<void>;
  updateCredential(request: UpdateCredentialRequest): Promise<void>;
}

/** Which version of an object is in the bucket. */
export interface PinnedObject {
  readonly etag: string;
  /** Empty in a bucket without versions. */
  readonly versionId: string;
  /** Bytes. */
  readonly size: number;
}

/** Where files are kept that stand in the place of customers' files. Every call asks a worker. */
export interface UploadArea {
  /** Gives the upload's id. */
  begin(key: string): Promise<string>;
  /** Gives the part's ETag; repeating it changes nothing. */
  part(
    place: { readonly key: string; readonly uploadId: string },
    number: number,
    content: Uint8Array,
  ): Promise<string>;
  complete(
    place: { readonly key: string; readonly uploadId: string },
    partEtags: readonly string[],
  ): Promise<PinnedObject>;
  abort(place: { readonly key: string; readonly uploadId: string }): Promise<void>;
}

/** What every part of the engine works with. */
export interface EngineContext {
  readonly kysely: Kysely<Schema>;
  readonly tenant: () => Tenant;
  /** Whose tasks workers get. */
  readonly tenants: () => readonly Tenant[];
  readonly secrets: TaskSecrets;
  /** For calls that are repeated with a request id. */
  readonly requests: RequestContext;
  readonly edits: ResourceEdits;
  readonly uploads: UploadArea;
  readonly maxUploadBytes: number;
  /** The versions that are in a credential's bucket now, by key; what is not there is left out. Asks a worker. */
  readonly pinObjects: (
    credentialId: string,
    keys: readonly string[],
  ) => Promise<ReadonlyMap<string, PinnedObject>>;
  readonly recordWorker: (workerId: string, inspectUrl: string) => Promise<void>;
  readonly log: Logger;
  readonly leaseMs: number;
  readonly retry: RetryPolicy;
  /** How long a failed workflow may be resumed. */
  readonly keepFailedMs: number;
  readonly pollMs: number;
  readonly progressIntervalMs: number;
  readonly watchIntervalMs: number;
  /** The pause before it is looked again for files that may still come. */
  readonly fileWaitPauseMs: number;
  readonly endings: WorkflowEndings | undefined;
  /** Called when a lease was taken from its worker. */
  readonly onLeaseLost: (() => void) | undefined;
  /** The place of a workflow in its trace; empty where nothing is traced. */
  readonly traceParentOf: (workflowId: string) => string;
  /** Rung when a task can be claimed. */
  readonly taskBell: Bell;
  readonly workflowBells: WorkflowBells;
  /** Rings the task bell after a while. */
  readonly ringTasksLater: (delayMs: number) => void;
  /** Aborted when the engine stops. */
  readonly stopped: AbortSignal;
}
