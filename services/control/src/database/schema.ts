import type { JsonValue } from "@bufbuild/protobuf";
import type { ColumnType, Generated } from "kysely";

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

/** Every table by its name. */
export interface Schema {
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
}

export type { Generated };
