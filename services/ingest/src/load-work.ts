import type { Connection, Lease, LoadObjectWork } from "@sluice/api/ingest/v1/task_pb";
import type { Connection as ConnectionWords } from "@sluice/fetch";
import type { QueryPlace } from "@sluice/load";
import type { Feed, FileSettings, ManifestObject } from "@sluice/schema";
import { toFeed, toFileSettings, toManifestObject } from "./from-proto.ts";

/** Everything that one load needs, in the stages' words. */
export interface LoadWork {
  readonly workflowId: string;
  readonly connection: ConnectionWords;
  readonly object: ManifestObject;
  /** Where its bytes lie: its own key, unless others stand in its place. */
  readonly readKey: string;
  /** Whether nothing of the object is wanted: what was staged of it is removed. */
  readonly isSkipped: boolean;
  readonly settings: FileSettings;
  readonly feed: Feed;
  /** What earlier attempts have made durable. */
  readonly resumeAt: Checkpoint;
  /** Set when the rows are staged for an ingest query of the feed, by the tags of their files. */
  readonly query?: QueryPlace;
}

/** How much of an object is durable in the staging table, from its start. */
export interface Checkpoint {
  readonly batches: number;
  readonly rows: number;
  readonly rejected: number;
}

export function toConnection(message: Connection | undefined): ConnectionWords {
  if (message?.access.case === undefined) throw new Error("the task came without a connection");
  const { bucket, region, endpoint, access } = message;
  return {
    bucket,
    ...(region === "" ? {} : { region }),
    ...(endpoint === "" ? {} : { endpoint }),
    access:
      access.case === "platform"
        ? { kind: "platform" }
        : access.case === "role"
          ? {
              kind: "role",
              targetRoleArn: access.value.targetRoleArn,
              externalId: access.value.externalId,
              platformRoleArn: access.value.platformRoleArn,
              sessionName: access.value.sessionName,
            }
          : {
              kind: "key",
              accessKeyId: access.value.accessKeyId,
              secretAccessKey: access.value.secretAccessKey,
            },
  };
}

/** What each object of a unit needs, in their order. */
export function toUnitWork(lease: Lease): LoadWork[] {
  if (lease.work.case !== "loadUnit") throw new Error("the lease is not one of a unit");
  const { common, tasks } = lease.work.value;
  if (common === undefined) throw new Error("the unit came without its work");
  const first = toWork(lease.workflowId, common);
  return tasks.map(({ object }) => ({
    ...first,
    object: toManifestObject(object),
    readKey: object?.key ?? "",
  }));
}

export function toLoadWork(lease: Lease): LoadWork {
  if (lease.work.case !== "loadObject") throw new Error("the lease is not one of a load");
  return toWork(lease.workflowId, lease.work.value);
}

function toWork(workflowId: string, work: LoadObjectWork): LoadWork {
  const { connection, object, settings, pgpKeys, checkpoint, entryTags, ingestQuery, skip } = work;
  if (work.feed === undefined) throw new Error("the task came without a feed");
  const feed = toFeed(work.feed);
  return {
    workflowId,
    ...(ingestQuery === undefined
      ? {}
      : { query: { workflowId, feed, sql: ingestQuery.sql, tags: ingestQuery.fileTags } }),
    connection: toConnection(connection),
    object: toManifestObject(object),
    readKey: object?.readKey || (object?.key ?? ""),
    isSkipped: skip,
    settings: toFileSettings(settings, {
      pgpKeys,
      entryTags: entryTags.length === 0 ? undefined : new Set(entryTags),
    }),
    feed,
    resumeAt: {
      batches: Number(checkpoint?.batches ?? 0),
      rows: Number(checkpoint?.rows ?? 0),
      rejected: Number(checkpoint?.rejectedRows ?? 0),
    },
  };
}
