import { fromJson, type JsonValue, toJson } from "@bufbuild/protobuf";
import { type Courier, CourierSchema } from "@sluice/api/control/v1/courier_pb";
import { type FeedVersion, FeedVersionSchema } from "@sluice/api/ingest/v1/task_pb";
import { partsOf } from "../services/courier-files.ts";

/** What a workflow began with and keeps, whatever becomes of the courier and its feeds. No secrets. */
export interface Plan {
  readonly courier: Courier;
  /** Each feed that the courier loads, once. */
  readonly feeds: readonly FeedVersion[];
  /** Set for a replay: whose rejects are cast again; of all workflows when empty. */
  readonly replayOf?: string;
}

export function planToJson(plan: Plan): string {
  return JSON.stringify({
    courier: toJson(CourierSchema, plan.courier),
    feeds: plan.feeds.map((feed) => toJson(FeedVersionSchema, feed)),
    replayOf: plan.replayOf,
  });
}

export function planFromJson(json: JsonValue): Plan {
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw new Error("a workflow's plan is not an object");
  }
  const { courier, feeds, replayOf } = json;
  if (courier === undefined || !Array.isArray(feeds)) {
    throw new Error("a workflow's plan lacks its courier or its feeds");
  }
  const options = { ignoreUnknownFields: true };
  return {
    courier: fromJson(CourierSchema, courier, options),
    feeds: feeds.map((feed) => fromJson(FeedVersionSchema, feed, options)),
    ...(typeof replayOf === "string" ? { replayOf } : {}),
  };
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
  const loads = courier.loads.filter((load) => load.feedId === feedId);
  return new Set(loads.map((load) => load.fileTag));
}

export function feedOf(plan: Plan, feedId: string | null): FeedVersion {
  const feed = plan.feeds.find((candidate) => candidate.feedId === feedId);
  if (feed === undefined) throw new Error(`the workflow's plan has no feed ${feedId}`);
  return feed;
}
