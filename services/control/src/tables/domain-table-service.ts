import { create } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import { type DomainTable, DomainTableSchema } from "@sluice/api/control/v1/domain_table_pb";
import type { DomainTableService } from "@sluice/api/control/v1/domain_table_service_pb";
import type { Feed } from "@sluice/api/control/v1/feed_pb";
import type { FeedVersion } from "@sluice/api/ingest/v1/task_pb";
import type { ControlContext } from "../context.ts";
import { readFeed } from "../feeds/feed-rows.ts";
import { activeVersionOf } from "../workflow/feed-version.ts";
import { toLoad } from "../workflow/list-loads.ts";
import { newestChange } from "../workflow/load-records.ts";
import { listDomainTables } from "./list-domain-tables.ts";
import { planDeleteRows } from "./plan-delete-rows.ts";

/** Domain tables: what was loaded. The list of loads, replays and changes are the workflow engine's. */
export type DomainTables = Omit<
  ServiceImpl<typeof DomainTableService>,
  | "listLoads"
  | "replayRejects"
  | "undoLoad"
  | "deleteRows"
  | "truncateDomainTable"
  | "purgeDomainTable"
>;

/** Rejected rows in one message of an export: with records of 16 KiB each it stays under 4 MiB. */
const EXPORT_PAGE = 200;

export function createDomainTableService(context: ControlContext): DomainTables {
  const { inspect, kysely } = context;
  const find = async (
    feedId: string,
  ): Promise<{ feed: Feed; version: FeedVersion | undefined }> => {
    const feed = await readFeed(kysely, context.tenant(), feedId);
    return { feed, version: activeVersionOf(feed) };
  };
  return {
    listDomainTables: (request) => listDomainTables(context, request),
    planDeleteRows: (request) => planDeleteRows(context, request),
    getDomainTable: async ({ feedId }) => {
      const { feed, version } = await find(feedId);
      if (version === undefined) {
        return { domainTable: absentTable(feed) };
      }
      const { domainTable } = await inspect.call((client, options) =>
        client.describeTable({ feed: version }, options),
      );
      if (domainTable === undefined) return {};
      const newest = await newestChange(kysely, context.tenant(), feedId);
      return {
        domainTable: {
          ...domainTable,
          ...(newest === undefined ? {} : { lastLoad: toLoad(newest, newest) }),
        },
      };
    },
    sampleRows: async ({ feedId, maxRows }) => {
      const { version } = await find(feedId);
      if (version === undefined) {
        return { rows: [] };
      }
      const limit = maxRows === 0 ? 100 : maxRows;
      const { rows } = await inspect.call((client, options) =>
        client.readRows({ feed: version, maxRows: limit }, options),
      );
      return { rows };
    },
    listRejects: async ({ feedId, workflowId, pageSize, pageToken }) => {
      const { version } = await find(feedId);
      if (version === undefined) {
        return { rejects: [], nextPageToken: "" };
      }
      const size = pageSize === 0 ? 50 : pageSize;
      const { rejects, nextPageToken } = await inspect.call((client, options) =>
        client.readRejects({ feed: version, workflowId, pageSize: size, pageToken }, options),
      );
      return { rejects, nextPageToken };
    },
    summarizeRejects: async ({ feedId, workflowId }) => {
      const { version } = await find(feedId);
      if (version === undefined) {
        return { counts: [] };
      }
      const { counts } = await inspect.call((client, options) =>
        client.summarizeRejects({ feed: version, workflowId }, options),
      );
      return { counts };
    },
    exportRejects: async function* ({ feedId, workflowId }) {
      const { version } = await find(feedId);
      if (version === undefined) {
        return;
      }
      let pageToken = "";
      do {
        const page = { feed: version, workflowId, pageSize: EXPORT_PAGE, pageToken };
        const { rejects, nextPageToken } = await inspect.call((client, options) =>
          client.readRejects({ ...page, withRecords: true }, options),
        );
        if (rejects.length > 0) {
          yield { rejects };
        }
        pageToken = nextPageToken;
      } while (pageToken !== "");
    },
  };
}

/** A feed that was never activated was never loaded: nobody needs to be asked. */
function absentTable(feed: Feed): DomainTable {
  return create(DomainTableSchema, {
    feedId: feed.id,
    database: feed.source,
    table: feed.name,
    exists: false,
  });
}
