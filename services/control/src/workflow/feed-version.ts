import { clone, create } from "@bufbuild/protobuf";
import {
  type Feed,
  Feed_State,
  type FeedSpec,
  FeedSpecSchema,
} from "@sluice/api/control/v1/feed_pb";
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

/** What workers get of a feed: its active version. Undefined for one that was never activated. */
export function activeVersionOf(feed: Feed): FeedVersion | undefined {
  const { id: feedId, source, name, version, spec, state } = feed;
  if (state !== Feed_State.ACTIVE || spec === undefined) return undefined;
  return create(FeedVersionSchema, { feedId, source, name, version, spec: explicitFeedSpec(spec) });
}
