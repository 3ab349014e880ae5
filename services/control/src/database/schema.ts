import type { JsonValue } from "@bufbuild/protobuf";
import type { LoadOperation } from "@sluice/api/control/v1/courier_pb";
import type { ActionKind, Stage } from "@sluice/api/control/v1/failure_pb";
import type { Notification_Kind } from "@sluice/api/control/v1/notification_pb";
import type { ColumnType, Generated } from "kysely";
import type { WorkflowState } from "../workflow/state-machine.ts";
import type { TaskKind, TaskState } from "../workflow/tally.ts";

/**
 * A jsonb column. It is read as a value and written as JSON text, because the two drivers disagree
 * about what an array parameter means.
 */
export type Json = ColumnType<JsonValue, string, string>;
export type NullableJson = ColumnType<JsonValue | null, string | null, string | null>;
/** A timestamptz column that the database fills in. */
export type CreateTime = ColumnType<Date, Date | undefined, never>;
/** A timestamptz column that the database fills in and every change sets. */
export type UpdateTime = ColumnType<Date, Date | undefined, Date>;

/** What all resources have in common. */
export interface ResourceColumns {
  tenant: string;
  id: string;
  name: string;
  /** The name without regard to case: what is unique, and what lists are ordered by. */
  name_key: string;
  etag: string;
  create_time: CreateTime;
  update_time: UpdateTime;
}

/** What is made once for a tenant. */
export interface TenantTable {
  tenant: string;
  external_id: string;
  /** Which master key seals the tenant's secrets. */
  key_id: string;
  create_time: CreateTime;
}

export interface CredentialTable extends ResourceColumns {
  description: string;
  plugin: string;
  /** The kind's message as proto JSON, without its secrets, under the name of its field. */
  kind: Json;
  last_status: NullableJson;
}

/** A secret of a credential, sealed. The name is the proto field's. */
export interface SecretTable {
  tenant: string;
  credential_id: string;
  name: string;
  version: number;
  key_id: string;
  wrapped_key: Uint8Array;
  sealed: Uint8Array;
}

/** A master key as a key of KMS wraps it. */
export interface KmsMasterKeyTable {
  kms_key: string;
  wrapped: Uint8Array;
  create_time: CreateTime;
}

export type SourceTable = ResourceColumns;

export interface FeedTable extends ResourceColumns {
  source_id: string;
  /** Counts the activated versions; 0 before the first. */
  version: number;
  /** A FeedSpec as proto JSON; null when nothing waits to be activated. */
  draft: NullableJson;
}

/** What was activated. A row never changes. */
export interface FeedVersionTable {
  tenant: string;
  feed_id: string;
  version: number;
  /** A FeedSpec as proto JSON. */
  spec: ColumnType<JsonValue, string, never>;
  create_time: CreateTime;
}

export interface CourierTable extends ResourceColumns {
  credential_id: string;
  /** A Courier's prefix, files and loads as proto JSON. */
  spec: Json;
}

/** Which feeds a courier loads: what keeps them from being removed. */
export interface CourierFeedTable {
  tenant: string;
  courier_id: string;
  feed_id: string;
}

/** Which credentials a courier needs, the bucket's and those of encrypted files. */
export interface CourierCredentialTable {
  tenant: string;
  courier_id: string;
  credential_id: string;
}

/** Calls that were made with a request id, and what they made. */
export interface RequestTable {
  tenant: string;
  method: string;
  request_id: string;
  /** A keyed hash of the request's body: requests hold secrets. */
  digest: Uint8Array;
  resource_id: string;
  create_time: CreateTime;
}

/** An ingest worker, as it last announced itself. */
export interface WorkerTable {
  tenant: string;
  id: string;
  inspect_url: string;
  seen_time: ColumnType<Date, Date | undefined, Date>;
}

export interface WorkflowTable {
  tenant: string;
  id: string;
  /** Counts all workflows: what lists are ordered by. */
  number: Generated<number>;
  courier_id: string;
  courier_name: string;
  state: WorkflowState;
  /** A Tally. */
  tally: Json;
  staged: boolean;
  start_date: string;
  end_date: string;
  skip_missing_files: boolean;
  /** Runs for every object there is; its days are known when they are listed. */
  everything: Generated<boolean>;
  ingest_only: Generated<boolean>;
  reload_unchanged: Generated<boolean>;
  /** What the workflow began with, and what resolutions changed of it. */
  plan: Json;
  /** Counts the changes. */
  revision: number;
  /** Of the last report. */
  stage: Generated<Stage>;
  bytes_read: Generated<number>;
  bytes_total: Generated<number>;
  rows: Generated<number>;
  rejected_rows: Generated<number>;
  /** A StageFailure as proto JSON. */
  failure: NullableJson;
  /** A list of texts. */
  warnings: ColumnType<JsonValue, string | undefined, string>;
  group_run_id: Generated<string | null>;
  files_wait_until: Generated<Date | null>;
  create_time: CreateTime;
  start_time: Date | null;
  end_time: Date | null;
  /** Set while it has failed: until then it can go on. */
  expire_time: Date | null;
}

/** What a task is beside its kind: see the migration that made the column. */
export type TaskVariant = "" | "query_file" | "query" | "compare";

/** Objects that a list found. */
export interface ManifestObjectTable {
  tenant: string;
  workflow_id: string;
  attempt: number;
  page: number;
  position: number;
  bucket: string;
  key: string;
  etag: string;
  version_id: string;
  size: number;
  date: string;
  file_tag: string;
  /** Another key of the same bucket, or of the bucket of uploads; empty for its own. */
  read_key: Generated<string>;
  replacement_id: string | null;
  modify_time: Date | null;
}

/** What a list looked for in vain. */
export interface MissingFileTable {
  tenant: string;
  workflow_id: string;
  attempt: number;
  page: number;
  position: number;
  /** A MissingFile as proto JSON. */
  file: Json;
}

/** The files whose rows a domain table has. */
export interface LoadedFileTable {
  tenant: string;
  feed_id: string;
  bucket: string;
  key: string;
  /** How it was read: a hash of the file's settings and the feed's version. */
  reading: string;
  etag: string;
  version_id: string;
  size: number;
  object_ordinal: number;
  workflow_id: string;
  load_time: CreateTime;
}

/** Objects of a frozen manifest that are not loaded into a feed, because its table has their rows. */
export interface UnchangedObjectTable {
  tenant: string;
  workflow_id: string;
  feed_id: string;
  page: number;
  position: number;
}

/** What was uploaded to stand in the place of a file. */
export interface ReplacementTable {
  tenant: string;
  id: string;
  workflow_id: string;
  key: string;
  etag: string;
  version_id: string;
  size: number;
  sha256: string;
  create_time: CreateTime;
}

/** What a person is asked to do about one failure. */
export interface ActionTable {
  tenant: string;
  id: string;
  number: Generated<number>;
  workflow_id: string;
  task_id: string;
  attempt: number;
  kind: ActionKind;
  /** A StageFailure as proto JSON. */
  failure: Json;
  state: "open" | "resolved" | "stale";
  etag: string;
  resolution_id: Generated<string>;
  restarted_as: Generated<string>;
  create_time: CreateTime;
  end_time: Date | null;
}

export interface TaskTable {
  tenant: string;
  id: string;
  workflow_id: string;
  number: number;
  kind: TaskKind;
  state: TaskState;
  attempt: Generated<number>;
  /** The last attempt before the task was resumed. */
  attempt_floor: Generated<number>;
  /** How often it was begun from the start. */
  generation: Generated<number>;
  /** Whether the workflow goes on without the object. */
  is_skipped: Generated<boolean>;
  feed_id: string | null;
  /** With `position`: the load's object in the frozen manifest. */
  page: number | null;
  position: number | null;
  object_ordinal: number | null;
  key: Generated<string>;
  date: Generated<string>;
  available_time: Date | null;
  waits: Generated<number>;
  worker: string | null;
  lease_expire_time: Date | null;
  progress_time: Date | null;
  first_start_time: Date | null;
  end_time: Date | null;
  stage: Generated<Stage>;
  bytes_read: Generated<number>;
  bytes_total: Generated<number>;
  rows: Generated<number>;
  rejected_rows: Generated<number>;
  rows_per_second: Generated<number>;
  done_batches: Generated<number>;
  done_rows: Generated<number>;
  done_rejected_rows: Generated<number>;
  route: Generated<string>;
  /** A list of texts. */
  warnings: ColumnType<JsonValue, string | undefined, string>;
  /** The workflow's revision at the last change. */
  revision: number;
  variant: Generated<TaskVariant>;
  /** The number of the first task of those that are loaded together; null for one that is loaded by itself. */
  unit: number | null;
  /** How many they are. */
  unit_tasks: number | null;
}

export interface AttemptTable {
  tenant: string;
  task_id: string;
  number: number;
  worker: string;
  start_time: Date;
  end_time: Date | null;
  outcome: "succeeded" | "failed" | "lost" | null;
  /** A StageFailure as proto JSON. */
  failure: NullableJson;
}

/** What a publish was about to do, by the first attempt that said so. */
export interface PublishIntentTable {
  tenant: string;
  task_id: string;
  staging_uuid: string;
  rows_uuid: string;
  attempt: number;
  create_time: CreateTime;
  rows_before: number | null;
}

/** What changed a domain table. */
export type TableChangeKind =
  | "load"
  | "replay"
  | "delete_rows"
  | "truncate"
  | "undo"
  | "custom_table";

/** What was published. */
export interface LoadRecordTable {
  tenant: string;
  number: Generated<number>;
  workflow_id: string;
  feed_id: string;
  operation: LoadOperation;
  rows: number;
  rejected_rows: number;
  publish_time: CreateTime;
  change: Generated<TableChangeKind>;
  rows_before: number | null;
  rows_after: number | null;
  own_rows: Generated<number>;
  kept: Generated<boolean>;
  undone_by: string | null;
  undoes: string | null;
  first_ordinal: number | null;
}

/** Counts the objects of a domain table's whole life. */
export interface ObjectOrdinalTable {
  tenant: string;
  feed_id: string;
  next_ordinal: number;
}

export interface CourierGroupTable extends ResourceColumns {
  /** A CourierGroup's schedule, members and alerts as proto JSON. */
  spec: Json;
  next_fire_time: Date | null;
  last_fire_time: Generated<Date | null>;
}

/** Which couriers a group runs: what keeps them from being removed. */
export interface CourierGroupMemberTable {
  tenant: string;
  group_id: string;
  courier_id: string;
}

/** Which custom domain tables a group's runs publish anew: what keeps them from being removed. */
export interface CourierGroupRefreshTable {
  tenant: string;
  group_id: string;
  custom_table_id: string;
}

export interface GroupRunTable {
  tenant: string;
  id: string;
  /** Counts all runs: what lists are ordered by. */
  number: Generated<number>;
  group_id: string;
  group_name: string;
  fire_time: Date | null;
  create_time: CreateTime;
  alert_time: Date | null;
  runtime_alert_ms: number | null;
  stop_reason: Generated<"asked" | "missing" | null>;
  settled: Generated<boolean>;
  run_type: "full" | "refresh" | "source";
  everything: Generated<boolean>;
}

export interface GroupRunMemberTable {
  tenant: string;
  run_id: string;
  position: number;
  courier_id: string;
  courier_name: string;
  start_date: string;
  end_date: string;
  wait_until: Date;
  notify_when_missing: boolean;
  stop_when_missing: boolean;
  workflow_id: string | null;
  problem: string | null;
}

/** A custom domain table that a run publishes anew, with its workflow once it has one. */
export interface GroupRunRefreshTable {
  tenant: string;
  run_id: string;
  position: number;
  custom_table_id: string;
  source: string;
  name: string;
  workflow_id: string | null;
  problem: string | null;
}

/** What a shadow load found. */
export interface FeedComparisonTable {
  tenant: string;
  workflow_id: string;
  feed_id: string;
  /** A FeedComparison as proto JSON. */
  result: ColumnType<JsonValue, string, never>;
  create_time: CreateTime;
}

export interface NotificationLogTable {
  tenant: string;
  last_event: Generated<number>;
  workflow_succeeded: Generated<boolean>;
}

export interface NotificationTable {
  tenant: string;
  id: string;
  number: number;
  event: number;
  kind: Notification_Kind;
  message: string;
  workflow_id: string;
  courier_id: string;
  courier_name: string;
  /** A list of texts. */
  sources: Json;
  group_run_id: string;
  group_id: string;
  group_name: string;
  /** A StageFailure as proto JSON. */
  failure: NullableJson;
  create_time: CreateTime;
  acknowledge_time: Generated<Date | null>;
}

export interface WebhookTable {
  tenant: string;
  id: string;
  /** Counts all webhooks: what lists are ordered by. */
  number: Generated<number>;
  url: string;
  /** A list of the numbers of Notification.Kind. */
  kinds: Json;
  key_id: string;
  wrapped_key: Uint8Array;
  sealed: Uint8Array;
  failed_deliveries: Generated<number>;
  last_error: Generated<string>;
  last_attempt_time: Generated<Date | null>;
  create_time: CreateTime;
}

/** What has yet to be posted. */
/** An audit event without its outcome. */
export interface AuditIntentTable extends Omit<AuditEventTable, "outcome"> {}

export interface WebhookDeliveryTable {
  tenant: string;
  id: string;
  webhook_id: string;
  body: string;
  attempts: Generated<number>;
  next_time: UpdateTime;
  create_time: CreateTime;
}

export interface CustomDomainTableTable extends ResourceColumns {
  source_id: string;
  /** A CustomDomainTable as proto JSON, without what stands beside it. */
  spec: Json;
  /** A list of Columns as proto JSON. */
  columns: ColumnType<JsonValue, string | undefined, string>;
}

export interface ApiKeyTable {
  tenant: string;
  id: string;
  number: Generated<number>;
  name: string;
  role: "viewer" | "operator" | "admin";
  /** What the key begins with. */
  prefix: string;
  /** SHA-256 of the rest of the key. */
  hash: Uint8Array;
  create_time: CreateTime;
  expire_time: Date | null;
  last_use_time: Generated<Date | null>;
  revoke_time: Generated<Date | null>;
}

/** What was done, by whom. A row never changes, and is never removed: the database refuses it. */
export interface AuditEventTable {
  tenant: string;
  number: Generated<number>;
  time: CreateTime;
  actor_kind: "api_key" | "token" | "service";
  actor: string;
  /** Empty when a refused credential has none. */
  role: "" | "viewer" | "operator" | "admin";
  /** Service/Method. */
  method: string;
  resource: string;
  /** "ok", or the code of the error. */
  outcome: string;
  address: string;
}

/** Which tenant a database of ClickHouse belongs to. */
export interface WarehouseDatabaseTable {
  name_key: string;
  tenant: string;
}

/** Every table by its name. */
export interface Schema {
  kms_master_key: KmsMasterKeyTable;
  api_key: ApiKeyTable;
  audit_event: AuditEventTable;
  warehouse_database: WarehouseDatabaseTable;
  custom_domain_table: CustomDomainTableTable;
  tenant: TenantTable;
  credential: CredentialTable;
  secret: SecretTable;
  source: SourceTable;
  feed: FeedTable;
  feed_version: FeedVersionTable;
  courier: CourierTable;
  courier_feed: CourierFeedTable;
  courier_credential: CourierCredentialTable;
  request: RequestTable;
  worker: WorkerTable;
  workflow: WorkflowTable;
  manifest_object: ManifestObjectTable;
  missing_file: MissingFileTable;
  loaded_file: LoadedFileTable;
  unchanged_object: UnchangedObjectTable;
  replacement: ReplacementTable;
  action: ActionTable;
  task: TaskTable;
  attempt: AttemptTable;
  publish_intent: PublishIntentTable;
  load_record: LoadRecordTable;
  object_ordinal: ObjectOrdinalTable;
  courier_group: CourierGroupTable;
  courier_group_member: CourierGroupMemberTable;
  courier_group_refresh: CourierGroupRefreshTable;
  group_run: GroupRunTable;
  group_run_member: GroupRunMemberTable;
  group_run_refresh: GroupRunRefreshTable;
  feed_comparison: FeedComparisonTable;
  notification_log: NotificationLogTable;
  notification: NotificationTable;
  webhook: WebhookTable;
  webhook_delivery: WebhookDeliveryTable;
  audit_intent: AuditIntentTable;
}
