import { create } from "@bufbuild/protobuf";
import { type DomainTable, DomainTableSchema } from "@sluice/api/control/v1/domain_table_pb";
import type { ListDomainTablesRequest } from "@sluice/api/control/v1/domain_table_service_pb";
import type { ControlContext } from "../context.ts";
import { selectFeeds, toFeed } from "../feeds/feed-rows.ts";
import { toNameKey } from "../resources/identity.ts";
import { toPage } from "../resources/page.ts";
import { activeVersionOf } from "../workflow/feed-version.ts";
import { toLoad } from "../workflow/list-loads.ts";
import { newestChange } from "../workflow/load-records.ts";

/** The domain tables of active feeds, by source and feed, with their sizes and what last changed them. */
export async function listDomainTables(
  context: ControlContext,
  request: ListDomainTablesRequest,
): Promise<{ domainTables: DomainTable[]; nextPageToken: string }> {
  const { kysely } = context;
  const tenant = context.tenant();
  const page = toPage(request, ["domain tables", request.source]);
  const [source = "", name = ""] = page.after ?? [];
  const rows = await selectFeeds(kysely, tenant)
    .where("feed.version", ">", 0)
    .$if(request.source !== "", (query) =>
      query.where("source.name_key", "=", toNameKey(request.source)),
    )
    .$if(page.after !== undefined, (query) =>
      query.where((row) =>
        row.or([
          row("source.name_key", ">", source),
          row.and([row("source.name_key", "=", source), row("feed.name_key", ">", name)]),
        ]),
      ),
    )
    .orderBy("source.name_key")
    .orderBy("feed.name_key")
    .limit(page.size + 1)
    .execute();
  const { rows: shown, nextPageToken } = page.cut(rows, (row) => [row.source_key, row.name_key]);
  const feeds = shown
    .map((row) => activeVersionOf(toFeed(row)))
    .filter((feed) => feed !== undefined);
  const { sizes } =
    feeds.length === 0
      ? { sizes: [] }
      : await context.inspect.call((client, options) => client.measureTables({ feeds }, options));
  const domainTables = await Promise.all(
    feeds.map(async (feed, index) => {
      const size = sizes[index];
      const newest = await newestChange(kysely, tenant, feed.feedId);
      return create(DomainTableSchema, {
        feedId: feed.feedId,
        database: feed.source,
        table: feed.name,
        exists: size?.exists ?? false,
        rows: size?.rows ?? 0n,
        rejectedRows: size?.rejectedRows ?? 0n,
        bytes: size?.bytes ?? 0n,
        ...(newest === undefined ? {} : { lastLoad: toLoad(newest, newest) }),
      });
    }),
  );
  return { domainTables, nextPageToken };
}
