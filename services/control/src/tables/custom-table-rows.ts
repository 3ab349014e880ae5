import { create, fromJson, type JsonValue } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  type CustomDomainTable,
  CustomDomainTableSchema,
} from "@sluice/api/control/v1/custom_domain_table_pb";
import { type Column, ColumnSchema } from "@sluice/api/control/v1/domain_table_pb";
import { FieldSchema } from "@sluice/api/control/v1/feed_pb";
import { type FeedVersion, FeedVersionSchema } from "@sluice/api/ingest/v1/task_pb";
import type { Kysely, Selectable, SelectQueryBuilder } from "kysely";
import type { CustomDomainTableTable, Schema } from "../database/schema.ts";
import { selectFeeds, toFeed } from "../feeds/feed-rows.ts";
import { toNameKey } from "../resources/identity.ts";
import { nameTaken, notFound } from "../resources/resource-errors.ts";
import type { Tenant } from "../tenant.ts";
import { activeVersionOf } from "../workflow/feed-version.ts";

export type CustomTableRow = Selectable<CustomDomainTableTable> & {
  readonly source: string;
  readonly source_key: string;
};

/** Selects custom domain tables with their sources' names. */
export function selectCustomTables(
  kysely: Kysely<Schema>,
  tenant: Tenant,
): SelectQueryBuilder<Schema, "custom_domain_table" | "source", CustomTableRow> {
  return kysely
    .selectFrom("custom_domain_table")
    .innerJoin("source", (join) =>
      join
        .onRef("source.tenant", "=", "custom_domain_table.tenant")
        .onRef("source.id", "=", "custom_domain_table.source_id"),
    )
    .where("custom_domain_table.tenant", "=", tenant)
    .selectAll("custom_domain_table")
    .select(["source.name as source", "source.name_key as source_key"]);
}

/** NOT_FOUND when the tenant has none of this id. */
export async function readCustomTableRow(
  kysely: Kysely<Schema>,
  tenant: Tenant,
  id: string,
): Promise<CustomTableRow> {
  const row = await selectCustomTables(kysely, tenant)
    .where("custom_domain_table.id", "=", id)
    .executeTakeFirst();
  if (row === undefined) throw notFound("custom domain table", id);
  return row;
}

/** ALREADY_EXISTS when a custom domain table of the source has the name: both are tables of one database. */
export async function assertNoCustomTable(
  kysely: Kysely<Schema>,
  at: { readonly tenant: Tenant; readonly sourceId: string; readonly name: string },
): Promise<void> {
  const taken = await kysely
    .selectFrom("custom_domain_table")
    .select("id")
    .where("tenant", "=", at.tenant)
    .where("source_id", "=", at.sourceId)
    .where("name_key", "=", toNameKey(at.name))
    .executeTakeFirst();
  if (taken !== undefined) throw nameTaken("custom domain table", at.name);
}

export function toCustomTable(row: CustomTableRow): CustomDomainTable {
  const table = fromJson(CustomDomainTableSchema, row.spec, { ignoreUnknownFields: true });
  const tags = new Map(table.columnTags.map((each) => [each.column, each.semanticTags]));
  return create(CustomDomainTableSchema, {
    ...table,
    id: row.id,
    source: row.source,
    name: row.name,
    columns: columnsOf(row.columns).map((column) => ({
      ...column,
      semanticTags: tags.get(column.name) ?? [],
    })),
    etag: row.etag,
    createTime: timestampFromDate(row.create_time),
    updateTime: timestampFromDate(row.update_time),
  });
}

function columnsOf(json: JsonValue): Column[] {
  return Array.isArray(json)
    ? json.map((column) => fromJson(ColumnSchema, column, { ignoreUnknownFields: true }))
    : [];
}

/**
 * What workers get of a custom domain table: a feed that is loaded by a query. Its fields are the columns of the last
 * publish; only moments have a type of their own, which the semantic view needs.
 */
export function toFeedVersion(table: CustomDomainTable): FeedVersion {
  const isMoment = (type: string): boolean => /^(Nullable\()?DateTime/.test(type);
  return create(FeedVersionSchema, {
    feedId: table.id,
    source: table.source,
    name: table.name,
    version: 1,
    spec: {
      fields: table.columns.map(({ name, type, semanticTags }) =>
        create(FieldSchema, {
          incomingName: name,
          name,
          include: true,
          type: {
            type: isMoment(type) ? { case: "datetime", value: {} } : { case: "string", value: {} },
          },
          semanticTags,
        }),
      ),
      primaryKey: table.primaryKey,
      errorThresholdPercent: 0,
      lastUpdated: { case: "generateLastUpdated", value: true },
      makeAvailableToStitch: table.makeAvailableToStitch,
    },
  });
}

/** The custom domain tables of a source that identity resolution reads, as feeds. */
export async function stitchCustomTables(
  kysely: Kysely<Schema>,
  tenant: Tenant,
  sourceKey: string,
): Promise<FeedVersion[]> {
  const rows = await selectCustomTables(kysely, tenant)
    .where("source.name_key", "=", sourceKey)
    .orderBy("custom_domain_table.name_key")
    .execute();
  return rows
    .map(toCustomTable)
    .filter((table) => table.makeAvailableToStitch && table.columns.length > 0)
    .map(toFeedVersion);
}

/** What a custom query may read: every active feed's domain table, and every other custom one. */
export async function readableTables(
  kysely: Kysely<Schema>,
  tenant: Tenant,
  except?: string,
): Promise<string[]> {
  const feeds = await selectFeeds(kysely, tenant).where("feed.version", ">", 0).execute();
  const customs = await selectCustomTables(kysely, tenant).execute();
  return [
    ...feeds.map((row) => activeVersionOf(toFeed(row))).filter((feed) => feed !== undefined),
    ...customs.filter(({ id }) => id !== except),
  ].map(({ source, name }) => `${source}.${name}`);
}
