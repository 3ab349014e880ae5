import { fromJson, type JsonValue, toJson } from "@bufbuild/protobuf";
import { type Courier, CourierSchema, type IngestQuery } from "@sluice/api/control/v1/courier_pb";
import { type TableChange, TableChangeSchema } from "@sluice/api/ingest/v1/table_change_pb";
import {
  type FeedVersion,
  FeedVersionSchema,
  type ManifestObject,
  ManifestObjectSchema,
} from "@sluice/api/ingest/v1/task_pb";
import { feedIdOf } from "../couriers/courier-feeds.ts";
import { partsOf } from "../couriers/courier-files.ts";

/** What a workflow began with and keeps, whatever becomes of the courier and its feeds. No secrets. */
export interface Plan {
  readonly courier: Courier;
  /** Each feed that the courier loads, once. */
  readonly feeds: readonly FeedVersion[];
  /** Set for a replay: whose rejects are cast again; of all workflows when empty. */
  readonly replayOf?: string;
  /** Set when a domain table is changed and nothing is loaded. */
  readonly change?: TableChange;
  /** Set for a shadow load of a feed's draft. */
  readonly comparison?: Comparison;
  /** Set for a run over several days that needs each required file on one of them, whichever. */
  readonly anyDay?: boolean;
  /**
   * Tags of files whose settings were changed on the way: some of their objects may have been loaded by the settings
   * before.
   */
  readonly reopenedTags?: readonly string[];
}

/** What a shadow load is made of and compared with. */
export interface Comparison {
  readonly active: FeedVersion;
  /** Loaded once before, and found no more: exactly these are read. */
  readonly objects: readonly ManifestObject[];
}

export function planToJson(plan: Plan): string {
  return JSON.stringify({
    courier: toJson(CourierSchema, plan.courier),
    feeds: plan.feeds.map((feed) => toJson(FeedVersionSchema, feed)),
    replayOf: plan.replayOf,
    anyDay: plan.anyDay,
    reopenedTags: plan.reopenedTags,
    ...(plan.comparison === undefined
      ? {}
      : {
          comparison: {
            active: toJson(FeedVersionSchema, plan.comparison.active),
            objects: plan.comparison.objects.map((object) => toJson(ManifestObjectSchema, object)),
          },
        }),
    change: plan.change === undefined ? undefined : toJson(TableChangeSchema, plan.change),
  });
}

export function planFromJson(json: JsonValue): Plan {
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw new Error("a workflow's plan is not an object");
  }
  const { courier, feeds, replayOf, comparison, change, anyDay, reopenedTags } = json;
  if (courier === undefined || !Array.isArray(feeds)) {
    throw new Error("a workflow's plan lacks its courier or its feeds");
  }
  const options = { ignoreUnknownFields: true };
  return {
    courier: fromJson(CourierSchema, courier, options),
    feeds: feeds.map((feed) => fromJson(FeedVersionSchema, feed, options)),
    ...(typeof replayOf === "string" ? { replayOf } : {}),
    ...(anyDay === true ? { anyDay } : {}),
    ...(Array.isArray(reopenedTags) ? { reopenedTags: reopenedTags.map(String) } : {}),
    ...(comparison === undefined ? {} : { comparison: comparisonFromJson(comparison) }),
    ...(change === undefined ? {} : { change: fromJson(TableChangeSchema, change, options) }),
  };
}

function comparisonFromJson(json: JsonValue): Comparison {
  if (typeof json === "object" && json !== null && !Array.isArray(json)) {
    const { active, objects } = json;
    if (active !== undefined && Array.isArray(objects)) {
      const options = { ignoreUnknownFields: true };
      return {
        active: fromJson(FeedVersionSchema, active, options),
        objects: objects.map((object) => fromJson(ManifestObjectSchema, object, options)),
      };
    }
  }
  throw new Error("a workflow's plan has no such comparison");
}

/** The ingest query that fills a feed; undefined when files do. */
export function queryOf({ courier }: Plan, feedId: string): IngestQuery | undefined {
  return courier.loads.find((load) => feedIdOf(load) === feedId)?.ingestQuery;
}

/** The tags of the files of which something is loaded into a feed, each once. */
export function fileTagsOfFeed({ courier }: Plan, feedId: string): string[] {
  const loaded = loadedTags(courier, feedId);
  const files = partsOf(courier).filter(({ tag }) => loaded.has(tag));
  return [...new Set(files.map(({ fileTag }) => fileTag))];
}

/** The tags of an archive's entries that are loaded into a feed; none when the whole file is. */
export function entryTagsOfFeed({ courier }: Plan, feedId: string, fileTag: string): string[] {
  const loaded = loadedTags(courier, feedId);
  if (loaded.has(fileTag)) return [];
  return partsOf(courier)
    .filter((part) => part.fileTag === fileTag && loaded.has(part.tag))
    .map(({ tag }) => tag);
}

function loadedTags(courier: Courier, feedId: string): Set<string> {
  const loads = courier.loads.filter((load) => feedIdOf(load) === feedId);
  return new Set(loads.flatMap((load) => load.ingestQuery?.fileTags ?? [load.fileTag]));
}

export function feedOf(plan: Plan, feedId: string | null): FeedVersion {
  const feed = plan.feeds.find((candidate) => candidate.feedId === feedId);
  if (feed === undefined) throw new Error(`the workflow's plan has no feed ${feedId}`);
  return feed;
}
