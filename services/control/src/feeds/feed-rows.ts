import { create, fromJson } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  type Feed,
  Feed_State,
  FeedSchema,
  type FeedSpec,
  FeedSpecSchema,
} from "@sluice/api/control/v1/feed_pb";
import type { Kysely, Selectable, SelectQueryBuilder } from "kysely";
import type { FeedTable, FeedVersionTable, Schema, SourceTable } from "../database/schema.ts";
import { notFound } from "../resources/resource-errors.ts";
import type { Tenant } from "../tenant.ts";

/** A feed with its source's name and its active version, if it has one. */
export type FeedRow = Selectable<FeedTable> & {
  readonly source: Selectable<SourceTable>["name"];
  readonly source_key: string;
  readonly spec: Selectable<FeedVersionTable>["spec"] | null;
};

/** Selects feeds as rows of that shape. */
export function selectFeeds(
  kysely: Kysely<Schema>,
  tenant: Tenant,
): SelectQueryBuilder<Schema, "feed" | "source", FeedRow> {
  return kysely
    .selectFrom("feed")
    .innerJoin("source", (join) =>
      join.onRef("source.tenant", "=", "feed.tenant").onRef("source.id", "=", "feed.source_id"),
    )
    .where("feed.tenant", "=", tenant)
    .selectAll("feed")
    .select(["source.name as source", "source.name_key as source_key"])
    .select((row) =>
      row
        .selectFrom("feed_version")
        .whereRef("feed_version.tenant", "=", "feed.tenant")
        .whereRef("feed_version.feed_id", "=", "feed.id")
        .whereRef("feed_version.version", "=", "feed.version")
        .select("feed_version.spec")
        .as("spec"),
    );
}

/** The row of a feed; NOT_FOUND when the tenant has none of this id. */
export async function readFeedRow(
  kysely: Kysely<Schema>,
  tenant: Tenant,
  id: string,
): Promise<FeedRow> {
  const row = await selectFeeds(kysely, tenant).where("feed.id", "=", id).executeTakeFirst();
  if (row === undefined) {
    throw notFound("feed", id);
  }
  return row;
}

/** A feed as the API gives it; NOT_FOUND when the tenant has none of this id. */
export async function readFeed(kysely: Kysely<Schema>, tenant: Tenant, id: string): Promise<Feed> {
  return toFeed(await readFeedRow(kysely, tenant, id));
}

export function toFeed(row: FeedRow): Feed {
  const active = row.spec === null ? undefined : toSpec(row.spec);
  const draft = row.draft === null ? undefined : toSpec(row.draft);
  // A feed that a courier was saved with may have an empty draft.
  const spec = active ?? (draft?.fields.length === 0 ? undefined : draft);
  return create(FeedSchema, {
    id: row.id,
    source: row.source,
    name: row.name,
    state: active === undefined ? Feed_State.DRAFT : Feed_State.ACTIVE,
    version: row.version,
    ...(spec === undefined ? {} : { spec }),
    ...(active === undefined || draft === undefined ? {} : { draft }),
    etag: row.etag,
    createTime: timestampFromDate(row.create_time),
    updateTime: timestampFromDate(row.update_time),
  });
}

/** FAILED_PRECONDITION for a feed whose draft is still empty. */
export function noFields({ source, name }: Feed): ConnectError {
  return new ConnectError(
    `feed ${source}.${name} has no fields yet: set its spec by UpdateFeed; InferFileSettings proposes one from a file`,
    Code.FailedPrecondition,
  );
}

function toSpec(json: NonNullable<FeedRow["spec"]>): FeedSpec {
  return fromJson(FeedSpecSchema, json, { ignoreUnknownFields: true });
}
