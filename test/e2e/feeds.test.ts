import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { LoadOperation } from "@sluice/api/control/v1/courier_pb";
import { Feed_State, FeedSpecSchema } from "@sluice/api/control/v1/feed_pb";
import { Task_Kind, Workflow_State } from "@sluice/api/control/v1/workflow_pb";
import { afterAll, beforeAll, expect, test } from "vitest";
import { CSV, DAY, type FeedSpec, INTEGER, STRING, type Story, startStory } from "./story.ts";

let story: Story;
beforeAll(async () => {
  story = await startStory();
});
afterAll(async () => await story[Symbol.asyncDispose]());

const DATE = { type: { case: "date", value: {} } } as const;
const PEOPLE: FeedSpec = {
  fields: [
    { incomingName: "id", type: INTEGER, require: true },
    { incomingName: "name", type: STRING },
    { incomingName: "city", type: STRING },
  ],
  primaryKey: ["id"],
};

async function change(feedId: string, spec: FeedSpec): Promise<void> {
  await story.feeds.updateFeed({
    feed: { id: feedId, spec: create(FeedSpecSchema, spec) },
    updateMask: { paths: ["spec"] },
  });
}

async function refusal(call: Promise<unknown>): Promise<ConnectError> {
  const error: unknown = await call.then(() => undefined).catch((thrown: unknown) => thrown);
  if (!(error instanceof ConnectError)) throw new Error("the call was not refused");
  return error;
}

test("a feed of a new source is a draft until it is activated, and fills one domain table (FE-1, FE-2, FE-3, FE-4, FE-14)", async () => {
  await story.customer.put(`shop/people-${DAY}.csv`, "id,name,city\n1,Ann,Oslo\n2,Bo,Rome\n");
  const { feed: made } = await story.feeds.createFeed({
    feed: { source: "new_shop", name: "people", spec: create(FeedSpecSchema, PEOPLE) },
  });
  const feedId = made?.id ?? "";
  expect(made?.state).toBe(Feed_State.DRAFT);
  const { sources } = await story.sources.listSources({});
  expect(sources.map(({ name }) => name)).toContain("new_shop");

  // The courier is saved with its load type before the feed is configured to its end.
  const courierId = await story.courier({ feedId, pattern: "'shop/people-'yyyy-MM-dd'.csv'" });
  const early = await refusal(
    story.couriers.runCourier({ id: courierId, scope: { case: "date", value: DAY } }),
  );
  expect(early.code).toBe(Code.FailedPrecondition);
  expect(early.rawMessage).toContain("activate it first");

  await story.feeds.activateFeed({ id: feedId });
  expect(await story.run(courierId)).toMatchObject({ state: Workflow_State.SUCCEEDED });
  expect(await story.rows("SELECT id, name FROM new_shop.people ORDER BY id")).toEqual([
    { id: 1, name: "Ann" },
    { id: 2, name: "Bo" },
  ]);
  // An existing feed of the existing source takes a second courier; a second feed of the same name is refused.
  await story.courier({ feedId, key: `shop/people-${DAY}.csv` });
  const taken = await refusal(
    story.feeds.createFeed({
      feed: { source: "NEW_SHOP", name: "People", spec: create(FeedSpecSchema, PEOPLE) },
    }),
  );
  expect(taken.code).toBe(Code.AlreadyExists);
});

test("the editor sets key, last-updated field, names, tags, include, require and threshold, and versions never change (FE-10, FE-11, FE-12, FE-13)", async () => {
  const feedId = await story.feed("editor", "people", PEOPLE);
  const edited: FeedSpec = {
    fields: [
      { incomingName: "id", type: INTEGER, require: true },
      { incomingName: "name", name: "full_name", type: STRING, semanticTags: ["full-name"] },
      { incomingName: "city", type: STRING, include: false },
      { incomingName: "seen", type: { type: { case: "datetime", value: {} } } },
      { incomingName: "joined", type: DATE, format: "dd.MM.yyyy" },
    ],
    primaryKey: ["id"],
    lastUpdated: { case: "lastUpdatedField", value: "seen" },
    errorThresholdPercent: 50,
    makeAvailableToStitch: true,
  };
  await change(feedId, edited);
  const { feed: waiting } = await story.feeds.getFeed({ id: feedId });
  expect(waiting).toMatchObject({ version: 1, spec: { makeAvailableToStitch: false } });
  expect(waiting?.draft).toMatchObject({ makeAvailableToStitch: true });
  await story.feeds.activateFeed({ id: feedId });

  const { versions } = await story.feeds.listFeedVersions({ id: feedId });
  expect(versions.map(({ version }) => version)).toEqual([2, 1]);
  const { version: first } = await story.feeds.getFeedVersion({ id: feedId, version: 1 });
  expect(first?.spec?.fields.map(({ name }) => name)).toEqual(["id", "name", "city"]);
  expect((await refusal(story.feeds.getFeedVersion({ id: feedId, version: 3 }))).code).toBe(
    Code.NotFound,
  );

  // Of two rows with one key the one seen later wins, wherever it stands.
  const rows = [
    "id,name,city,seen,joined",
    "1,late,Oslo,2026-03-02 00:00:00,24.12.2025",
    "1,early,Oslo,2026-03-01 00:00:00,24.12.2025",
  ];
  await story.customer.put("editor.csv", `${rows.join("\n")}\n`);
  expect(await story.run(await story.courier({ feedId, key: "editor.csv" }))).toMatchObject({
    state: Workflow_State.SUCCEEDED,
  });
  expect(await story.rows("SELECT id, full_name, joined FROM editor.people")).toEqual([
    { id: 1, full_name: "late", joined: "2025-12-24" },
  ]);
  expect(await story.rows("SELECT _feed, `full-name` FROM editor.__stitch")).toEqual([
    { _feed: "people", "full-name": "late" },
  ]);
  // And back to an order that is generated: the later row of the file wins.
  await change(feedId, { ...edited, lastUpdated: { case: "generateLastUpdated", value: true } });
  await story.feeds.activateFeed({ id: feedId });
});

test("everything that is wrong with a feed is told at once, before it is kept (FE-10, FE-11, FE-12)", async () => {
  await story.feed("checked", "people", PEOPLE);
  const { problems } = await story.feeds.validateFeed({
    feed: {
      source: "checked",
      name: "people",
      spec: {
        fields: [
          { incomingName: "id", type: { type: { case: "float", value: {} } } },
          { incomingName: "day", type: DATE },
          { incomingName: "no name", type: STRING },
          { incomingName: "Day", type: STRING },
        ],
        primaryKey: ["id"],
        lastUpdated: { case: "lastUpdatedField", value: "day" },
        errorThresholdPercent: 101,
      },
    },
  });
  expect(problems.map(({ field }) => field).sort()).toEqual([
    "name",
    "spec.error_threshold_percent",
    "spec.fields[2].name",
    "spec.fields[3].name",
    "spec.last_updated_field",
    "spec.primary_key[0]",
  ]);
  expect(problems.find(({ field }) => field === "spec.last_updated_field")?.message).toContain(
    "neither a datetime nor an integer",
  );
  const { problems: none } = await story.feeds.validateFeed({
    feed: { source: "checked", name: "other", spec: create(FeedSpecSchema, PEOPLE) },
  });
  expect(none).toEqual([]);
});

test("another primary key waits until the domain table has no row (FE-10)", async () => {
  const feedId = await story.feed("keyed", "people", PEOPLE);
  await story.customer.put("keyed.csv", "id,name,city\n1,Ann,Oslo\n1,Bo,Rome\n");
  const courierId = await story.courier({ feedId, key: "keyed.csv" });
  await story.run(courierId);
  const byName: FeedSpec = {
    ...PEOPLE,
    fields: [
      { incomingName: "id", type: STRING, require: true },
      { incomingName: "name", type: STRING, require: true },
    ],
    primaryKey: ["name", "id"],
  };
  await change(feedId, byName);
  const { problems } = await story.feeds.validateFeed({ feed: { id: feedId } });
  expect(problems.map(({ rule }) => rule)).toEqual(["primary_key.has_rows", "field.type_has_rows"]);
  const refused = await refusal(story.feeds.activateFeed({ id: feedId }));
  expect(refused.code).toBe(Code.FailedPrecondition);
  expect(refused.rawMessage).toContain("purge or truncate the domain table");
  expect((await story.feeds.getFeed({ id: feedId })).feed?.version).toBe(1);

  const { workflowId } = await story.tables.truncateDomainTable({ feedId });
  for await (const _ of story.workflows.watchWorkflow({ id: workflowId }));
  await story.feeds.activateFeed({ id: feedId });
  expect(await story.run(courierId)).toMatchObject({ state: Workflow_State.SUCCEEDED });
  expect(await story.rows("SELECT id, name FROM keyed.people ORDER BY name")).toEqual([
    { id: "1", name: "Ann" },
    { id: "1", name: "Bo" },
  ]);
});

test("a file that does not match an existing feed is refused with every difference, at every run (FE-5, FE-9)", async () => {
  const feedId = await story.feed("strict", "people", {
    ...PEOPLE,
    fields: [
      { incomingName: "id", type: INTEGER, require: true },
      { incomingName: "name", type: STRING, require: true },
      { incomingName: "city", type: STRING, require: true },
    ],
  });
  await story.customer.put(`strict/${DAY}.csv`, "id,name,city\n1,Ann,Oslo\n");
  await story.customer.put("strict/2026-11-21.csv", "ID,vorname,ort\n2,Bo,Rome\n");
  const courierId = await story.courier({ feedId, pattern: "'strict/'yyyy-MM-dd'.csv'" });
  expect((await story.run(courierId)).state).toBe(Workflow_State.SUCCEEDED);
  const { failure } = await story.run(courierId, "2026-11-21");
  expect(failure).toMatchObject({ code: "schema_mismatch" });
  expect(failure?.message).toContain('the required column "name" is absent');
  expect(failure?.message).toContain('the required column "city" is absent');
  expect(failure?.seen).toBe('"ID", "vorname", "ort"');
  expect(await story.rows("SELECT id FROM strict.people")).toEqual([{ id: 1 }]);
});

test("the load type says what becomes of the rows that are there (FE-6, FE-7, FE-8)", async () => {
  const feedId = await story.feed("types", "people", PEOPLE);
  await story.customer.put(`types/${DAY}.csv`, "id,name,city\n1,Ann,Oslo\n2,Bo,Rome\n");
  await story.customer.put("types/2026-11-21.csv", "id,name,city\n2,Bea,Rome\n3,Cy,Bonn\n");
  const pattern = "'types/'yyyy-MM-dd'.csv'";
  const upserting = await story.courier({ feedId, pattern });
  await story.run(upserting);
  await story.run(upserting, "2026-11-21");
  const select = "SELECT id, name FROM types.people ORDER BY id";
  expect(await story.rows(select)).toEqual([
    { id: 1, name: "Ann" },
    { id: 2, name: "Bea" },
    { id: 3, name: "Cy" },
  ]);
  const operation = LoadOperation.TRUNCATE_AND_LOAD;
  await story.run(await story.courier({ feedId, pattern, operation }), "2026-11-21");
  expect(await story.rows(select)).toEqual([
    { id: 2, name: "Bea" },
    { id: 3, name: "Cy" },
  ]);
});

test("a changed draft is loaded beside the domain table and compared with it before it is activated (FE-9, FE-12)", async () => {
  const feedId = await story.feed("shadow", "sales", {
    fields: [
      { incomingName: "id", type: INTEGER, require: true },
      { incomingName: "amount", type: STRING },
      { incomingName: "day", type: STRING },
    ],
    primaryKey: ["id"],
    errorThresholdPercent: 100,
  });
  await story.customer.put(`sales/${DAY}.csv`, "id,amount,day\n1,1.50,01/02/26\n2,,02/02/26\n");
  await story.customer.put(
    "sales/2026-11-21.csv",
    "id,amount,day\n2,2.50,02/02/26\n3,many,03/02/26\n4,4,04/02/26\n",
  );
  const courierId = await story.courier({
    feedId,
    pattern: "'sales/'yyyy-MM-dd'.csv'",
    settings: CSV,
  });
  await story.run(courierId);
  await story.run(courierId, "2026-11-21");
  const compare = async (): Promise<string> => {
    const { workflowId } = await story.feeds.compareFeedVersions({
      feedId,
      courierId,
      requestId: "once",
    });
    for await (const _ of story.workflows.watchWorkflow({ id: workflowId }));
    return workflowId;
  };
  const unchanged = await refusal(story.feeds.compareFeedVersions({ feedId }));
  expect(unchanged.rawMessage).toContain("no changed draft");

  await change(feedId, {
    fields: [
      { incomingName: "id", type: INTEGER, require: true },
      {
        incomingName: "amount",
        name: "price",
        type: { type: { case: "decimal", value: { precision: 10, scale: 2 } } },
      },
      { incomingName: "day", type: STRING, trim: true },
      { incomingName: "amount", name: "amount", type: STRING, emptyIsNull: true },
    ],
    primaryKey: ["id"],
    errorThresholdPercent: 10,
  });
  const before = await story.rows("SELECT * FROM shadow.sales ORDER BY id");
  const workflowId = await compare();
  const { workflow } = await story.workflows.getWorkflow({ id: workflowId });
  expect(workflow?.failure).toBeUndefined();
  expect(workflow?.tasks.map(({ kind }) => kind)).toContain(Task_Kind.COMPARE);
  const { comparison } = await story.feeds.getComparison({ workflowId });
  expect(comparison).toMatchObject({
    feedId,
    activeVersion: 1,
    rows: 3n,
    loadedRows: 4n,
    activeRows: 4n,
    rejectedRows: 1n,
    activeRejectedRows: 0n,
    repeatedKeys: 1n,
    addedRows: 0n,
    lostRows: 1n,
    changedRows: 0n,
    supersededRows: 0n,
    rowsCompared: true,
    thresholdExceeded: true,
  });
  expect(comparison?.files.map(({ key }) => key)).toEqual([
    `sales/${DAY}.csv`,
    "sales/2026-11-21.csv",
  ]);
  expect(comparison?.fields.find(({ name }) => name === "price")).toMatchObject({
    activeType: "",
    rejectedRows: 1n,
    nulls: 0n,
  });
  // Asked for once: the same workflow again, and nothing of it is left in ClickHouse.
  expect(await compare()).toBe(workflowId);
  expect(await story.rows("SELECT * FROM shadow.sales ORDER BY id")).toEqual(before);
  await expect
    .poll(() =>
      story.rows("SELECT name FROM system.tables WHERE database = 'shadow' AND name LIKE '%stg%'"),
    )
    .toEqual([]);
  expect((await story.tables.listLoads({ feedId })).loads).toHaveLength(2);
  expect((await story.feeds.getFeed({ id: feedId })).feed?.version).toBe(1);
});

test("a shadow load shows the values that a draft changes, with their keys (FE-12)", async () => {
  const spec: FeedSpec = {
    fields: [
      { incomingName: "id", type: INTEGER, require: true },
      { incomingName: "name", type: STRING },
    ],
    primaryKey: ["id"],
  };
  const feedId = await story.feed("shadow", "names", spec);
  await story.customer.put("names.csv", "id,name\n1,  Ann \n2,Bo\n");
  await story.run(await story.courier({ feedId, key: "names.csv" }));
  await change(feedId, {
    ...spec,
    fields: [
      { incomingName: "id", type: INTEGER, require: true },
      { incomingName: "name", type: STRING, trim: true },
    ],
  });
  const { workflowId } = await story.feeds.compareFeedVersions({ feedId });
  for await (const _ of story.workflows.watchWorkflow({ id: workflowId }));
  const { comparison } = await story.feeds.getComparison({ workflowId });
  expect(comparison).toMatchObject({ changedRows: 1n, addedRows: 0n, lostRows: 0n });
  expect(comparison?.fields.find(({ name }) => name === "name")).toMatchObject({
    changedValues: 1n,
    examples: [{ key: ["1"], value: "Ann", activeValue: "  Ann " }],
  });
  await story.feeds.discardDraft({ id: feedId });
  expect((await story.feeds.getFeed({ id: feedId })).feed?.draft).toBeUndefined();
});
