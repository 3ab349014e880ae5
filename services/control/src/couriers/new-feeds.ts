import { clone, create, type DescMessage, equals } from "@bufbuild/protobuf";
import type { Violation } from "@bufbuild/protovalidate";
import {
  type Courier,
  CourierSchema,
  type NewFeed,
  NewFeedSchema,
} from "@sluice/api/control/v1/courier_pb";
import { FeedSpecSchema } from "@sluice/api/control/v1/feed_pb";
import type { Kysely, Transaction } from "kysely";
import type { Schema } from "../database/schema.ts";
import { nameFields, newFeedViolations } from "../feeds/feed-checks.ts";
import { feedNameFault } from "../feeds/feed-name-fault.ts";
import { insertFeed } from "../feeds/feed-writes.ts";
import { makeId } from "../resources/identity.ts";
import { toViolation } from "../server/field-violations.ts";
import type { Tenant } from "../tenant.ts";
import { feedKeyOf, newFeedOf } from "./courier-feeds.ts";

/** A new feed of a courier, whose fields have their names. */
interface AskedFeed {
  readonly key: string;
  readonly feed: NewFeed;
  /** Where it stands in a request that has the courier in its field `courier`. */
  readonly path: string;
}

/** All that is wrong with the new feeds of the request's `courier`. */
export async function newFeedsViolations(
  request: DescMessage,
  courier: Courier,
  kysely: Kysely<Schema>,
  tenant: Tenant,
): Promise<Violation[]> {
  const violations: Violation[] = [];
  const firstOf = new Map<string, AskedFeed>();
  for (const asked of newFeedsIn(courier)) {
    const { key, feed, path } = asked;
    violations.push(...newFeedViolations(request, feed, path));
    const first = firstOf.get(key);
    if (first === undefined) {
      firstOf.set(key, asked);
      const fault = await feedNameFault(kysely, tenant, feed, path);
      if (fault !== undefined) violations.push(toViolation(request, fault));
    } else if (!agree(first.feed, feed)) {
      const message = `${first.path} names the same feed and says something else; say it once`;
      const fault = { path: `${path}.spec`, rule: "new_feed.specs_differ", message };
      violations.push(toViolation(request, fault));
    } else if (first.feed.spec === undefined) {
      firstOf.set(key, asked);
    }
  }
  return violations;
}

/**
 * Makes the new feeds of a courier that was judged, as drafts; all of them or none, with what else the transaction
 * does. Gives the courier as it is kept: every load has its feed's id.
 */
export async function makeNewFeeds(
  transaction: Transaction<Schema>,
  tenant: Tenant,
  courier: Courier,
): Promise<Courier> {
  const kept = clone(CourierSchema, courier);
  const wanted = new Map<string, NewFeed>();
  for (const { key, feed } of newFeedsIn(courier)) {
    if (wanted.get(key)?.spec === undefined) wanted.set(key, feed);
  }
  const ids = new Map<string, string>();
  // Sources are locked: two saves that want the same ones meet at the first.
  for (const [key, { source, name, spec }] of [...wanted].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const id = makeId("feed");
    const draft = { source, name, spec: spec ?? create(FeedSpecSchema) };
    await insertFeed(transaction, tenant, id, draft);
    ids.set(key, id);
  }
  for (const load of kept.loads) {
    const id = ids.get(feedKeyOf(load));
    if (id !== undefined) load.feed = { case: "feedId", value: id };
  }
  return kept;
}

function newFeedsIn({ loads }: Courier): AskedFeed[] {
  return loads.flatMap((load, index) => {
    const asked = newFeedOf(load);
    if (asked === undefined) return [];
    const feed = clone(NewFeedSchema, asked);
    nameFields(feed.spec);
    return [{ key: feedKeyOf(load), feed, path: `courier.loads[${index}].new_feed` }];
  });
}

function agree({ spec: one }: NewFeed, { spec: other }: NewFeed): boolean {
  return one === undefined || other === undefined || equals(FeedSpecSchema, one, other);
}
