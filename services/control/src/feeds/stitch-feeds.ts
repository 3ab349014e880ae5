import type { FeedVersion } from "@sluice/api/ingest/v1/task_pb";
import type { Kysely } from "kysely";
import type { Schema } from "../database/schema.ts";
import { toNameKey } from "../resources/identity.ts";
import { stitchCustomTables } from "../tables/custom-table-rows.ts";
import type { Tenant } from "../tenant.ts";
import { activeVersionOf } from "../workflow/feed-version.ts";
import { selectFeeds, toFeed } from "./feed-rows.ts";

/** The active feeds of a source, and its custom domain tables, that are made available to Stitch, by name: what its semantic view shows. */
export async function stitchFeedsOf(
  kysely: Kysely<Schema>,
  tenant: Tenant,
  source: string,
): Promise<FeedVersion[]> {
  const rows = await selectFeeds(kysely, tenant)
    .where("source.name_key", "=", toNameKey(source))
    .where("feed.version", ">", 0)
    .orderBy("feed.name_key")
    .execute();
  const customs = await stitchCustomTables(kysely, tenant, toNameKey(source));
  const feeds = rows
    .map((row) => activeVersionOf(toFeed(row)))
    .filter((feed) => feed !== undefined)
    .filter(({ spec }) => spec?.makeAvailableToStitch === true);
  return [...feeds, ...customs];
}
