import { create, fromJson } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  type ActivatedFeedVersion,
  ActivatedFeedVersionSchema,
  FeedSpecSchema,
} from "@sluice/api/control/v1/feed_pb";
import type {
  GetFeedVersionRequest,
  ListFeedVersionsRequest,
} from "@sluice/api/control/v1/feed_service_pb";
import type { Selectable } from "kysely";
import type { ControlContext } from "../context.ts";
import type { FeedVersionTable } from "../database/schema.ts";
import { toPage } from "../resources/page.ts";
import { notFound } from "../resources/resource-errors.ts";
import { belowNumber } from "../workflow/page-number.ts";
import { readFeedRow } from "./feed-rows.ts";

/** A page of what was activated of a feed, the newest first. */
export async function listFeedVersions(
  { kysely, tenant }: ControlContext,
  request: ListFeedVersionsRequest,
): Promise<{ versions: ActivatedFeedVersion[]; nextPageToken: string }> {
  const { id } = request;
  await readFeedRow(kysely, tenant(), id);
  const page = toPage(request, ["feed-versions", id]);
  const below = belowNumber(page);
  const found = await kysely
    .selectFrom("feed_version")
    .selectAll()
    .where("tenant", "=", tenant())
    .where("feed_id", "=", id)
    .$if(below !== undefined, (query) => query.where("version", "<", below ?? 0))
    .orderBy("version", "desc")
    .limit(page.size + 1)
    .execute();
  const { rows, nextPageToken } = page.cut(found, (row) => [String(row.version)]);
  return { versions: rows.map(toVersion), nextPageToken };
}

/** One version of a feed; NOT_FOUND when it has none of this number. */
export async function getFeedVersion(
  { kysely, tenant }: ControlContext,
  { id, version }: GetFeedVersionRequest,
): Promise<ActivatedFeedVersion> {
  await readFeedRow(kysely, tenant(), id);
  const row = await kysely
    .selectFrom("feed_version")
    .selectAll()
    .where("tenant", "=", tenant())
    .where("feed_id", "=", id)
    .where("version", "=", version)
    .executeTakeFirst();
  if (row === undefined) {
    throw notFound("feed version", `${id}/${version}`);
  }
  return toVersion(row);
}

function toVersion(row: Selectable<FeedVersionTable>): ActivatedFeedVersion {
  return create(ActivatedFeedVersionSchema, {
    version: row.version,
    spec: fromJson(FeedSpecSchema, row.spec, { ignoreUnknownFields: true }),
    activateTime: timestampFromDate(row.create_time),
  });
}
