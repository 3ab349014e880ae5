import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { LoadOperation } from "@sluice/api/control/v1/courier_pb";
import { Feed_State, FeedSpecSchema } from "@sluice/api/control/v1/feed_pb";
import { Workflow_State } from "@sluice/api/control/v1/workflow_pb";
import { afterAll, beforeAll, expect, test } from "vitest";
import { CSV, DAY, type FeedSpec, INTEGER, type Story, startStory } from "./story.ts";

let story: Story;
beforeAll(async () => {
  story = await startStory();
  await story.customer.put(`people-${DAY}.csv`, "id,name\n1,Ann\n2,Bo\n");
  await story.customer.put(`orders-${DAY}.csv`, "no,total\n7,10.50\n8,2.00\n");
});
afterAll(async () => await story[Symbol.asyncDispose]());

const ORDERS: FeedSpec = {
  fields: [{ incomingName: "no", type: INTEGER, require: true }],
  primaryKey: ["no"],
};
const file = (tag: string) => ({
  tag,
  selection: { case: "pattern" as const, value: `'${tag}-'yyyy-MM-dd'.csv'` },
  settings: CSV,
});

test("a file is chosen, the courier saved with its load type and a new feed, and the feed configured by the sample (FE-2, FE-3, FE-4, CO-4, CO-5, RU-1)", async () => {
  const key = `people-${DAY}.csv`;
  const { credentialId } = story;
  const { courier } = await story.couriers.createCourier({
    courier: {
      name: "Guided",
      credentialId,
      files: [file("people")],
      loads: [
        {
          feed: { case: "newFeed", value: { source: "guided", name: "people" } },
          fileTag: "people",
          operation: LoadOperation.LOAD,
        },
      ],
    },
    requestId: "guided",
  });
  const [made] = (await story.feeds.listFeeds({ source: "guided" })).feeds;
  expect(made).toMatchObject({ name: "people", state: Feed_State.DRAFT });
  expect(made?.spec).toBeUndefined();
  expect(courier?.loads[0]?.feed).toEqual({ case: "feedId", value: made?.id });

  const id = made?.id ?? "";
  const { inferred } = await story.sources.inferFileSettings({ credentialId, key });
  const spec = inferred?.draft ?? create(FeedSpecSchema);
  await story.feeds.updateFeed({ feed: { id, spec }, updateMask: { paths: ["spec"] } });
  const { feed } = await story.feeds.activateFeed({ id });
  expect(feed).toMatchObject({ state: Feed_State.ACTIVE, version: 1 });

  // The courier is found from its feed, and run by hand.
  const { couriers } = await story.couriers.listCouriers({ feedId: id });
  expect(couriers.map(({ name }) => name)).toEqual(["Guided"]);
  expect((await story.run(couriers[0]?.id ?? "")).state).toBe(Workflow_State.SUCCEEDED);
  expect(await story.rows("SELECT id, name FROM guided.people ORDER BY id")).toEqual([
    { id: 1, name: "Ann" },
    { id: 2, name: "Bo" },
  ]);
});

test("one save takes an existing feed beside a new one of the same source (FE-2, FE-3)", async () => {
  const feedId = await story.feed("both", "people", {
    fields: [{ incomingName: "id", type: INTEGER }],
    primaryKey: ["id"],
  });
  const { courier } = await story.couriers.createCourier({
    courier: {
      name: "Both",
      credentialId: story.credentialId,
      files: [file("people"), file("orders")],
      loads: [
        {
          feed: { case: "feedId", value: feedId },
          fileTag: "people",
          operation: LoadOperation.LOAD,
        },
        {
          feed: { case: "newFeed", value: { source: "both", name: "orders", spec: ORDERS } },
          fileTag: "orders",
          operation: LoadOperation.TRUNCATE_AND_LOAD,
        },
      ],
    },
  });
  const id = courier?.id ?? "";
  const early: unknown = await story.couriers
    .runCourier({ id, scope: { case: "date", value: DAY } })
    .catch((thrown: unknown) => thrown);
  if (!(early instanceof ConnectError)) throw new Error("the run was not refused");
  expect(early.code).toBe(Code.FailedPrecondition);
  expect(early.rawMessage).toBe("feed both.orders is not active: activate it first");

  const orders = courier?.loads[1]?.feed.value;
  if (typeof orders !== "string") throw new Error("the load has no feed id");
  await story.feeds.activateFeed({ id: orders });
  expect((await story.run(id)).state).toBe(Workflow_State.SUCCEEDED);
  expect(await story.rows("SELECT count() AS n FROM both.people")).toEqual([{ n: 2 }]);
  expect(await story.rows("SELECT no FROM both.orders ORDER BY no")).toEqual([
    { no: 7 },
    { no: 8 },
  ]);
});

test("a new feed can't take the name of a custom domain table, and says where it stands (FE-3)", async () => {
  await story.customTables.createCustomDomainTable({
    customDomainTable: { source: "customs", name: "totals", query: "SELECT 1 AS one" },
  });
  const refused: unknown = await story.couriers
    .createCourier({
      courier: {
        name: "Clash",
        credentialId: story.credentialId,
        files: [file("people")],
        loads: [
          {
            feed: { case: "newFeed", value: { source: "customs", name: "TOTALS" } },
            fileTag: "people",
            operation: LoadOperation.LOAD,
          },
        ],
      },
    })
    .catch((thrown: unknown) => thrown);
  if (!(refused instanceof ConnectError)) throw new Error("the courier was taken");
  expect(refused.code).toBe(Code.InvalidArgument);
  expect(refused.rawMessage).toContain("courier.loads[0].new_feed.name");
  expect(refused.rawMessage).toContain('custom domain table named "totals"');
});
