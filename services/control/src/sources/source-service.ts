import { toBinary } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import type { Source } from "@sluice/api/control/v1/source_pb";
import {
  type CreateSourceRequest,
  CreateSourceRequestSchema,
  type DeleteSourceRequest,
  type ListSourcesRequest,
  type SourceService,
} from "@sluice/api/control/v1/source_service_pb";
import type { ControlContext } from "../context.ts";
import { connectionOf } from "../credentials/credential-access.ts";
import { makeEtag, makeId, toNameKey } from "../resources/identity.ts";
import { toPage } from "../resources/page.ts";
import { findMade, makeOnce } from "../resources/request-id.ts";
import { assertEtag, inUse, isViolationOf, nameTaken } from "../resources/resource-errors.ts";
import { databaseNameFault } from "../resources/sql-name.ts";
import { refuseField } from "../server/field-violations.ts";
import { findPlugins } from "./plugins.ts";
import { inferFileSettings, previewObject } from "./preview.ts";
import { claimDatabase, readSourceRow, toSource } from "./source-rows.ts";

/** Sources: where data comes from, and how it is grouped. */
export function createSourceService(context: ControlContext): ServiceImpl<typeof SourceService> {
  return {
    listPlugins: ({ search }) => ({ plugins: findPlugins(search) }),
    createSource: async (request) => {
      const id = await create(context, request);
      return { source: toSource(await readSourceRow(context.kysely, context.tenant(), id)) };
    },
    listSources: (request) => list(context, request),
    deleteSource: async (request) => {
      await remove(context, request);
      return {};
    },
    previewObject: (request) => previewObject(context, request),
    inferFileSettings: (request) => inferFileSettings(context, request),
    browseObjects: async (request) => {
      const { prefix, delimiter, pageToken } = request;
      const connection = await connectionOf(context, request.credentialId);
      const pageSize = request.pageSize === 0 ? 50 : request.pageSize;
      const page = await context.inspect.call((client, options) =>
        client.listObjects({ connection, prefix, delimiter, pageSize, pageToken }, options),
      );
      const { objects, prefixes, nextPageToken } = page;
      return { objects, prefixes, nextPageToken };
    },
  };
}

async function create(context: ControlContext, request: CreateSourceRequest): Promise<string> {
  const name = request.source?.name ?? "";
  const call = {
    method: "CreateSource",
    requestId: request.requestId,
    body: toBinary(CreateSourceRequestSchema, { ...request, requestId: "" }),
  };
  const made = await findMade(context, call);
  if (made !== undefined) {
    return made;
  }
  const fault = databaseNameFault(name);
  if (fault !== undefined) {
    refuseField(CreateSourceRequestSchema, "source.name", "source.name", fault);
  }
  return await makeOnce(context, call, makeId("src"), async (transaction, id) => {
    await claimDatabase(transaction, context.tenant(), name);
    try {
      await transaction
        .insertInto("source")
        .values({
          tenant: context.tenant(),
          id,
          name,
          name_key: toNameKey(name),
          etag: makeEtag(),
        })
        .execute();
    } catch (error) {
      throw isViolationOf(error, "source_name_taken") ? nameTaken("source", name) : error;
    }
  });
}

async function list(
  context: ControlContext,
  request: ListSourcesRequest,
): Promise<{ sources: Source[]; nextPageToken: string }> {
  const page = toPage(request, ["sources"]);
  const rows = await context.kysely
    .selectFrom("source")
    .selectAll()
    .where("tenant", "=", context.tenant())
    .$if(page.after !== undefined, (query) => query.where("name_key", ">", page.after?.[0] ?? ""))
    .orderBy("name_key")
    .limit(page.size + 1)
    .execute();
  const { rows: shown, nextPageToken } = page.cut(rows, (row) => [row.name_key]);
  return { sources: shown.map(toSource), nextPageToken };
}

async function remove(context: ControlContext, request: DeleteSourceRequest): Promise<void> {
  const tenant = context.tenant();
  const row = await readSourceRow(context.kysely, tenant, request.id);
  assertEtag("source", request.etag, row.etag);
  try {
    // A source has no updates: its etag is still the one just read.
    await context.kysely
      .deleteFrom("source")
      .where("tenant", "=", tenant)
      .where("id", "=", request.id)
      .execute();
  } catch (error) {
    if (isViolationOf(error, "custom_domain_table_source")) {
      throw inUse("source", request.id, ["a custom domain table"]);
    }
    if (!isViolationOf(error, "feed_source")) {
      throw error;
    }
    const feeds = await context.kysely
      .selectFrom("feed")
      .select("name")
      .where("tenant", "=", tenant)
      .where("source_id", "=", request.id)
      .orderBy("name_key")
      .limit(5)
      .execute();
    throw inUse(
      "source",
      request.id,
      feeds.map((feed) => `feed ${feed.name}`),
    );
  }
}
