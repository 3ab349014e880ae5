import { clone, equals, fromJson, toBinary, toJsonString } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import { type Feed, Feed_State, FeedSchema, FeedSpecSchema } from "@sluice/api/control/v1/feed_pb";
import {
  type CreateFeedRequest,
  CreateFeedRequestSchema,
  type FeedService,
  type ListFeedsRequest,
  type UpdateFeedRequest,
  UpdateFeedRequestSchema,
} from "@sluice/api/control/v1/feed_service_pb";
import type { Transaction } from "kysely";
import type { ControlContext } from "../context.ts";
import type { Schema } from "../database/schema.ts";
import { makeEtag, makeId, toNameKey } from "../resources/identity.ts";
import { toPage } from "../resources/page.ts";
import { findMade, makeOnce } from "../resources/request-id.ts";
import { assertEtag, inUse, isViolationOf, notFound } from "../resources/resource-errors.ts";
import { applyMask } from "../resources/update-mask.ts";
import { checkFile } from "../sources/preview.ts";
import { assertFeed, nameFields } from "./feed-checks.ts";
import { assertNoConflict } from "./feed-conflicts.ts";
import { type FeedRow, noFields, readFeed, readFeedRow, selectFeeds, toFeed } from "./feed-rows.ts";
import { getFeedVersion, listFeedVersions } from "./feed-versions.ts";
import { insertFeed } from "./feed-writes.ts";
import { stitchFeedsOf } from "./stitch-feeds.ts";
import { validateFeed } from "./validate-feed.ts";

/** Nobody should wait long for a view that follows anyway. */
const REFRESH_TIMEOUT_MS = 5_000;

/** Feeds: how files become rows of domain tables. Shadow loads are the workflow engine's. */
export type FeedResources = Omit<
  ServiceImpl<typeof FeedService>,
  "compareFeedVersions" | "getComparison"
>;

export function createFeedService(context: ControlContext): FeedResources {
  const read = (id: string): Promise<Feed> => readFeed(context.kysely, context.tenant(), id);
  return {
    createFeed: async (request) => ({ feed: await read(await create(context, request)) }),
    getFeed: async ({ id }) => ({ feed: await read(id) }),
    listFeeds: (request) => list(context, request),
    checkFile: (request) => checkFile(context, request),
    updateFeed: async (request) => ({ feed: await read(await update(context, request)) }),
    validateFeed: (request) => validateFeed(context, request),
    listFeedVersions: (request) => listFeedVersions(context, request),
    getFeedVersion: async (request) => ({ version: await getFeedVersion(context, request) }),
    activateFeed: async (request) => {
      const judged = await read(request.id);
      assertEtag("feed", request.etag, judged.etag);
      await assertNoConflict(context, judged);
      // What was judged is what is activated.
      const { id, etag } = judged;
      const before = await inFeed(context, { id, etag }, async (transaction, row) => {
        await activate(transaction, row);
        return toFeed(row);
      });
      const feed = await read(request.id);
      await refreshSemanticView(context, before, feed);
      return { feed };
    },
    discardDraft: async (request) => {
      const isGone = await inFeed(context, request, (transaction, row) =>
        discard(transaction, row),
      );
      return isGone ? {} : { feed: await read(request.id) };
    },
    deleteFeed: async (request) => {
      const before = await inFeed(context, request, async (transaction, row) => {
        await erase(transaction, row);
        return toFeed(row);
      });
      await refreshSemanticView(context, before);
      return {};
    },
  };
}

/**
 * Lets the source's semantic view follow a change of one feed at once, if the view shows the feed or did. It is
 * made anew with every publish anyway, so a worker that is not there keeps nobody from activating a feed.
 */
async function refreshSemanticView(
  context: ControlContext,
  before: Feed,
  after: Feed = before,
): Promise<void> {
  if (!isShown(before) && !isShown(after)) return;
  const { source } = before;
  const feeds = await stitchFeedsOf(context.kysely, context.tenant(), source);
  try {
    await context.inspect.call((client, options) =>
      client.prepareSemanticView({ source, feeds }, { ...options, timeoutMs: REFRESH_TIMEOUT_MS }),
    );
  } catch (error) {
    context.log.info({ err: error, source }, "the semantic view follows with the next publish");
  }
}

function isShown({ state, spec }: Feed): boolean {
  return state === Feed_State.ACTIVE && spec?.makeAvailableToStitch === true;
}

async function create(context: ControlContext, request: CreateFeedRequest): Promise<string> {
  const call = {
    method: "CreateFeed",
    requestId: request.requestId,
    body: toBinary(CreateFeedRequestSchema, { ...request, requestId: "" }),
  };
  const made = await findMade(context, call);
  if (made !== undefined) {
    return made;
  }
  const feed = required(request.feed);
  nameFields(feed.spec);
  assertFeed(CreateFeedRequestSchema, feed);
  const { spec } = feed;
  if (spec === undefined) {
    throw new Error("a feed came through without its spec");
  }
  return await makeOnce(context, call, makeId("feed"), async (transaction, id) => {
    await insertFeed(transaction, context.tenant(), id, { ...feed, spec });
  });
}

async function list(
  context: ControlContext,
  request: ListFeedsRequest,
): Promise<{ feeds: Feed[]; nextPageToken: string }> {
  const page = toPage(request, ["feeds", request.source]);
  const [source = "", name = ""] = page.after ?? [];
  const rows = await selectFeeds(context.kysely, context.tenant())
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
  return { feeds: shown.map(toFeed), nextPageToken };
}

async function update(context: ControlContext, request: UpdateFeedRequest): Promise<string> {
  const asked = required(request.feed);
  await inFeed(context, asked, async (transaction, row) => {
    const current = toFeed(row);
    const edited = clone(FeedSchema, current);
    const base = current.draft ?? current.spec;
    if (base !== undefined) {
      edited.spec = clone(FeedSpecSchema, base);
    }
    applyMask(FeedSchema, edited, asked, request.updateMask?.paths ?? [], {
      request: UpdateFeedRequestSchema,
      writable: ["spec"],
    });
    nameFields(edited.spec);
    assertFeed(UpdateFeedRequestSchema, edited);
    const { spec } = edited;
    if (spec === undefined) {
      throw new Error("a feed came through without its spec");
    }
    await transaction
      .updateTable("feed")
      .set({
        draft: toJsonString(FeedSpecSchema, spec),
        etag: makeEtag(),
        update_time: new Date(),
      })
      .where("tenant", "=", row.tenant)
      .where("id", "=", row.id)
      .execute();
  });
  return asked.id;
}

/** The draft becomes the next version; one that says the same as the active version is dropped. */
async function activate(transaction: Transaction<Schema>, row: FeedRow): Promise<void> {
  if (row.draft === null) {
    return;
  }
  const options = { ignoreUnknownFields: true };
  const draft = fromJson(FeedSpecSchema, row.draft, options);
  if (draft.fields.length === 0) {
    throw noFields(toFeed(row));
  }
  const isSame =
    row.spec !== null && equals(FeedSpecSchema, draft, fromJson(FeedSpecSchema, row.spec, options));
  const version = isSame ? row.version : row.version + 1;
  if (!isSame) {
    await transaction
      .insertInto("feed_version")
      .values({
        tenant: row.tenant,
        feed_id: row.id,
        version,
        spec: toJsonString(FeedSpecSchema, draft),
      })
      .execute();
  }
  await transaction
    .updateTable("feed")
    .set({ version, draft: null, etag: makeEtag(), update_time: new Date() })
    .where("tenant", "=", row.tenant)
    .where("id", "=", row.id)
    .execute();
}

/** Whether the feed itself is gone: it had nothing but its draft. */
async function discard(transaction: Transaction<Schema>, row: FeedRow): Promise<boolean> {
  if (row.version === 0) {
    await erase(transaction, row);
    return true;
  }
  if (row.draft !== null) {
    await transaction
      .updateTable("feed")
      .set({ draft: null, etag: makeEtag(), update_time: new Date() })
      .where("tenant", "=", row.tenant)
      .where("id", "=", row.id)
      .execute();
  }
  return false;
}

async function erase(transaction: Transaction<Schema>, row: FeedRow): Promise<void> {
  await transaction
    .deleteFrom("feed")
    .where("tenant", "=", row.tenant)
    .where("id", "=", row.id)
    .execute();
}

/** Runs a change of one feed while nobody else can change it, after looking at the etag. */
async function inFeed<T>(
  context: ControlContext,
  asked: { readonly id: string; readonly etag: string },
  change: (transaction: Transaction<Schema>, row: FeedRow) => Promise<T>,
): Promise<T> {
  const tenant = context.tenant();
  try {
    return await context.kysely.transaction().execute(async (transaction) => {
      const locked = await transaction
        .selectFrom("feed")
        .select("id")
        .where("tenant", "=", tenant)
        .where("id", "=", asked.id)
        .forUpdate()
        .executeTakeFirst();
      if (locked === undefined) {
        throw notFound("feed", asked.id);
      }
      const row = await readFeedRow(transaction, tenant, asked.id);
      assertEtag("feed", asked.etag, row.etag);
      return await change(transaction, row);
    });
  } catch (error) {
    if (!isViolationOf(error, "courier_feed_feed")) {
      throw error;
    }
    const couriers = await context.kysely
      .selectFrom("courier_feed")
      .innerJoin("courier", (join) =>
        join
          .onRef("courier.tenant", "=", "courier_feed.tenant")
          .onRef("courier.id", "=", "courier_feed.courier_id"),
      )
      .select("courier.name")
      .where("courier_feed.tenant", "=", tenant)
      .where("courier_feed.feed_id", "=", asked.id)
      .orderBy("courier.name_key")
      .limit(5)
      .execute();
    throw inUse(
      "feed",
      asked.id,
      couriers.map((courier) => `courier ${courier.name}`),
    );
  }
}

/** Requests are validated before they come here. */
function required(feed: Feed | undefined): Feed {
  if (feed === undefined) {
    throw new Error("a request came through without its feed");
  }
  return feed;
}
