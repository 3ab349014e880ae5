import { create } from "@bufbuild/protobuf";
import { FeedSpecSchema } from "@sluice/api/control/v1/feed_pb";
import { type FeedVersion, FeedVersionSchema } from "@sluice/api/ingest/v1/task_pb";
import type { Feed } from "@sluice/schema";

export const SOURCE = "customer";

/** A feed in the words of the stages, and as control sends it. */
export interface ModelFeed {
  readonly feed: Feed;
  readonly message: FeedVersion;
}

/** A feed of two texts, of which `key` identifies a row. Nothing is refused for its share of rejects. */
export function makeFeed(name: string): [string, ModelFeed] {
  const message = makeMessage(name);
  const field = (own: string): Feed["fields"][number] => ({
    incomingName: own,
    name: own,
    type: { kind: "string" },
    semanticTags: [],
    include: true,
    require: true,
  });
  const feed: Feed = {
    id: `feed-${name}`,
    source: SOURCE,
    name,
    version: 1,
    fields: [field("id"), field("key")],
    primaryKey: ["key"],
    errorThresholdPercent: 100,
    makeAvailableToStitch: false,
  };
  return [name, { feed, message }];
}

function makeMessage(name: string): FeedVersion {
  return create(FeedVersionSchema, {
    feedId: `feed-${name}`,
    source: SOURCE,
    name,
    version: 1,
    spec: create(FeedSpecSchema, {
      fields: ["id", "key"].map((own) => ({
        incomingName: own,
        name: own,
        type: { type: { case: "string", value: {} } },
        include: true,
        require: true,
      })),
      primaryKey: ["key"],
      errorThresholdPercent: 100,
    }),
  });
}
