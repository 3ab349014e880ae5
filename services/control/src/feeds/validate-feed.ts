import { clone } from "@bufbuild/protobuf";
import { pathToString } from "@bufbuild/protobuf/reflect";
import { type Feed, FeedSchema } from "@sluice/api/control/v1/feed_pb";
import {
  type ValidateFeedRequest,
  ValidateFeedRequestSchema,
} from "@sluice/api/control/v1/feed_service_pb";
import type { ControlContext } from "../context.ts";
import { type FieldFault, toViolation } from "../server/field-violations.ts";
import { feedViolations, nameFields } from "./feed-checks.ts";
import { rowConflicts } from "./feed-conflicts.ts";
import { feedNameFault } from "./feed-name-fault.ts";
import { readFeed } from "./feed-rows.ts";

/** Everything that is wrong with a feed, at once: by itself, beside other feeds, and with the rows that it has. */
export async function validateFeed(
  context: ControlContext,
  { feed: asked }: ValidateFeedRequest,
): Promise<{ problems: { field: string; rule: string; message: string }[] }> {
  if (asked === undefined) {
    throw new Error("a request came through without its feed");
  }
  const current =
    asked.id === "" ? undefined : await readFeed(context.kysely, context.tenant(), asked.id);
  const feed = clone(FeedSchema, current ?? asked);
  const spec = asked.spec ?? current?.draft ?? current?.spec;
  if (spec !== undefined) feed.spec = spec;
  nameFields(feed.spec);
  const more: FieldFault[] =
    current === undefined
      ? await nameFaults(context, feed)
      : await rowConflicts(context, current, feed.spec);
  const violations = [
    ...feedViolations(ValidateFeedRequestSchema, feed),
    ...more.map((fault) => toViolation(ValidateFeedRequestSchema, fault)),
  ];
  return {
    problems: violations.map(({ field, ruleId, message }) => ({
      field: pathToString(field).replace(/^feed\.?/, ""),
      rule: ruleId,
      message,
    })),
  };
}

async function nameFaults(context: ControlContext, feed: Feed): Promise<FieldFault[]> {
  const fault = await feedNameFault(context.kysely, context.tenant(), feed, "feed");
  return fault === undefined ? [] : [fault];
}
