import { fromJson, type JsonValue, toJson } from "@bufbuild/protobuf";
import { type Courier, CourierSchema } from "@sluice/api/control/v1/courier_pb";
import { type FeedVersion, FeedVersionSchema } from "@sluice/api/ingest/v1/task_pb";

/** What a workflow began with and keeps, whatever becomes of the courier and its feeds. No secrets. */
export interface Plan {
  readonly courier: Courier;
  /** Each feed that the courier loads, once. */
  readonly feeds: readonly FeedVersion[];
}

export function planToJson(plan: Plan): string {
  return JSON.stringify({
    courier: toJson(CourierSchema, plan.courier),
    feeds: plan.feeds.map((feed) => toJson(FeedVersionSchema, feed)),
  });
}

export function planFromJson(json: JsonValue): Plan {
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw new Error("a workflow's plan is not an object");
  }
  const { courier, feeds } = json;
  if (courier === undefined || !Array.isArray(feeds)) {
    throw new Error("a workflow's plan lacks its courier or its feeds");
  }
  const options = { ignoreUnknownFields: true };
  return {
    courier: fromJson(CourierSchema, courier, options),
    feeds: feeds.map((feed) => fromJson(FeedVersionSchema, feed, options)),
  };
}

/** The tags of the files that are loaded into a feed. */
export function tagsOfFeed(plan: Plan, feedId: string): string[] {
  return plan.courier.loads.filter((load) => load.feedId === feedId).map((load) => load.fileTag);
}

export function feedOf(plan: Plan, feedId: string | null): FeedVersion {
  const feed = plan.feeds.find((candidate) => candidate.feedId === feedId);
  if (feed === undefined) throw new Error(`the workflow's plan has no feed ${feedId}`);
  return feed;
}
