import type { FeedLoad, NewFeed } from "@sluice/api/control/v1/courier_pb";
import { toNameKey } from "../resources/identity.ts";

/** The feed of a load as it is kept; empty for one that is not made yet. */
export function feedIdOf({ feed }: FeedLoad): string {
  return feed.case === "feedId" ? feed.value : "";
}

/** The feed that is made together with what is saved. */
export function newFeedOf({ feed }: FeedLoad): NewFeed | undefined {
  return feed.case === "newFeed" ? feed.value : undefined;
}

/** What tells the feeds of loads apart, also those that are not made yet. */
export function feedKeyOf(load: FeedLoad): string {
  const made = newFeedOf(load);
  return made === undefined
    ? feedIdOf(load)
    : JSON.stringify([toNameKey(made.source), toNameKey(made.name)]);
}

/** The feeds of loads as they are kept, each once. */
export function feedsOf({ loads }: { readonly loads: readonly FeedLoad[] }): string[] {
  return [...new Set(loads.map(feedIdOf))].filter((id) => id !== "");
}
