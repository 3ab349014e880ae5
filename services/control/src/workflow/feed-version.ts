import { clone, create } from "@bufbuild/protobuf";
import { type FeedSpec, FeedSpecSchema } from "@sluice/api/control/v1/feed_pb";
import { type FeedVersion, FeedVersionSchema } from "@sluice/api/ingest/v1/task_pb";

const DEFAULT_ERROR_THRESHOLD_PERCENT = 1;

/** A feed's specification with every default written out: what workers work by. */
export function explicitFeedSpec(spec: FeedSpec): FeedSpec {
  const explicit = clone(FeedSpecSchema, spec);
  explicit.errorThresholdPercent ??= DEFAULT_ERROR_THRESHOLD_PERCENT;
  for (const field of explicit.fields) {
    if (field.name === "") field.name = field.incomingName;
    field.include ??= true;
  }
  if (explicit.lastUpdated.case === undefined) {
    explicit.lastUpdated = { case: "generateLastUpdated", value: true };
  }
  return explicit;
}

/** A feed as it is when a workflow begins. */
export function toFeedVersion(feed: {
  readonly feedId: string;
  readonly source: string;
  readonly name: string;
  readonly version: number;
  readonly spec: FeedSpec;
}): FeedVersion {
  return create(FeedVersionSchema, { ...feed, spec: explicitFeedSpec(feed.spec) });
}
