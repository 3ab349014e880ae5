import { create } from "@bufbuild/protobuf";
import { FeedSpecSchema } from "@sluice/api/control/v1/feed_pb";
import { JsonSettings_Shape } from "@sluice/api/control/v1/file_settings_pb";
import { Task_Kind, Workflow_State } from "@sluice/api/control/v1/workflow_pb";
import { afterAll, beforeAll, expect, test } from "vitest";
import { DAY, type FeedSpec, INTEGER, STRING, type Story, startStory } from "./story.ts";

let story: Story;
beforeAll(async () => {
  story = await startStory();
});
afterAll(async () => await story[Symbol.asyncDispose]());

const PAID: FeedSpec = {
  fields: [
    { incomingName: "id", type: INTEGER, require: true },
    {
      incomingName: "amount",
      type: { type: { case: "decimal", value: { precision: 10, scale: 2 } } },
    },
    { incomingName: "paid", type: { type: { case: "boolean", value: {} } } },
  ],
  primaryKey: ["id"],
  errorThresholdPercent: 100,
};
const FILE = `id,amount,paid
1,10.50,yes
2,"1,200.00",no
3,7,ja
,5,yes
5,1.234,yes
`;

async function change(feedId: string, spec: FeedSpec): Promise<void> {
  await story.feeds.updateFeed({
    feed: { id: feedId, spec: create(FeedSpecSchema, spec) },
    updateMask: { paths: ["spec"] },
  });
  await story.feeds.activateFeed({ id: feedId });
}

async function replay(feedId: string, requestId = ""): Promise<string> {
  const { workflowId } = await story.tables.replayRejects({ feedId, requestId });
  for await (const _ of story.workflows.watchWorkflow({ id: workflowId }));
  const { workflow } = await story.workflows.getWorkflow({ id: workflowId });
  expect(workflow?.failure).toBeUndefined();
  expect(workflow?.state).toBe(Workflow_State.SUCCEEDED);
  expect(workflow?.tasks.map(({ kind }) => kind)).toContain(Task_Kind.REPLAY_REJECTS);
  return workflowId;
}

test("rejected rows are read, counted, exported, and replayed under a changed feed down to none left", async () => {
  const feedId = await story.feed("bank", "payments", PAID);
  await story.customer.put(`payments/${DAY}.csv`, FILE);
  const courierId = await story.courier({ feedId, pattern: "'payments/'yyyy-MM-dd'.csv'" });
  const first = await story.run(courierId);
  expect(first).toMatchObject({ totals: { rows: 5n, rejectedRows: 4n }, state: 4 });
  expect(await story.rows("SELECT id FROM bank.payments")).toEqual([{ id: 1 }]);

  const { counts } = await story.tables.summarizeRejects({ feedId });
  const reasons = counts.map(({ stage, code, field, rows }) => `${stage}.${code} ${field} ${rows}`);
  expect(reasons.sort()).toEqual([
    "cast.bad_value amount 1",
    "cast.bad_value paid 1",
    "cast.out_of_range amount 1",
    "cast.primary_key_null id 1",
  ]);
  const exported = [];
  for await (const { rejects } of story.tables.exportRejects({ feedId })) exported.push(...rejects);
  expect(exported.map(({ row }) => row)).toEqual([2n, 3n, 4n, 5n]);
  expect(JSON.parse(exported[0]?.record ?? "")).toMatchObject({ id: "2", amount: "1,200.00" });

  // A newer row of a key that is still among the rejects: the replay must not undo it.
  await story.customer.put(`payments/2026-11-21.csv`, "id,amount,paid\n3,70,yes\n");
  await story.run(courierId, "2026-11-21");

  const [id, , paid] = PAID.fields ?? [];
  if (id === undefined || paid === undefined) throw new Error("the feed has its fields");
  await change(feedId, {
    ...PAID,
    fields: [
      id,
      {
        incomingName: "amount",
        type: { type: { case: "decimal", value: { precision: 10, scale: 2 } } },
        thousandsSeparator: ",",
      },
      { ...paid, trueWords: ["yes", "ja"], falseWords: ["no"] },
    ],
  });
  const workflowId = await replay(feedId, "first");
  expect((await story.tables.replayRejects({ feedId, requestId: "first" })).workflowId).toBe(
    workflowId,
  );
  const select = "SELECT id, toString(amount) AS amount, paid FROM bank.payments ORDER BY id";
  expect(await story.rows(select)).toEqual([
    { id: 1, amount: "10.5", paid: true },
    { id: 2, amount: "1200", paid: false },
    { id: 3, amount: "70", paid: true },
  ]);
  const left = await story.tables.listRejects({ feedId });
  expect(left.rejects.map(({ row, code }) => ({ row, code }))).toEqual([
    { row: 4n, code: "primary_key_null" },
    { row: 5n, code: "out_of_range" },
  ]);
  const { domainTable } = await story.tables.getDomainTable({ feedId });
  expect(domainTable?.rejectedRows).toBe(2n);
});

test("a file of which no record can be cut tells what is wrong with its records, not which columns it lacks", async () => {
  const feedId = await story.feed("bank", "torn", { ...PAID, errorThresholdPercent: 1 });
  await story.customer.put(`torn/${DAY}.ndjson`, '{"id":1,"amount":\n{"id":2,"amount":\n');
  const courierId = await story.courier({
    feedId,
    pattern: "'torn/'yyyy-MM-dd'.ndjson'",
    settings: { format: { case: "json", value: { shape: JsonSettings_Shape.LINES } } },
  });
  const workflow = await story.run(courierId);
  expect(workflow.failure).toMatchObject({ code: "threshold_exceeded" });
  const { counts } = await story.tables.summarizeRejects({ feedId });
  expect(counts).toMatchObject([{ stage: "parse", code: "malformed", rows: 2n }]);
});

test("a replay that mends everything leaves no reject, and a second one changes nothing", async () => {
  const spec: FeedSpec = {
    fields: [
      { incomingName: "id", type: INTEGER, require: true },
      { incomingName: "n", type: INTEGER },
    ],
    primaryKey: ["id"],
    errorThresholdPercent: 100,
  };
  const feedId = await story.feed("bank", "numbers", spec);
  await story.customer.put("numbers.csv", 'id,n\n1,"1,000"\n2,"2,000"\n3,3\n');
  await story.run(await story.courier({ feedId, key: "numbers.csv" }));
  expect((await story.tables.listRejects({ feedId })).rejects).toHaveLength(2);
  await change(feedId, {
    ...spec,
    fields: [
      { incomingName: "id", type: INTEGER, require: true },
      { incomingName: "n", type: INTEGER, thousandsSeparator: "," },
    ],
  });
  for (let time = 0; time < 2; time++) {
    await replay(feedId);
    expect((await story.tables.listRejects({ feedId })).rejects).toEqual([]);
    expect(await story.rows("SELECT id, n FROM bank.numbers ORDER BY id")).toEqual([
      { id: 1, n: 1000 },
      { id: 2, n: 2000 },
      { id: 3, n: 3 },
    ]);
  }
});

test("feeds made available to Stitch stand in one view per source, under their semantic tags", async () => {
  const people: FeedSpec = {
    fields: [
      { incomingName: "id", type: INTEGER, require: true, semanticTags: ["ck"] },
      { incomingName: "mail", type: STRING, semanticTags: ["email"] },
      { incomingName: "mail2", type: STRING, semanticTags: ["email"] },
      {
        incomingName: "born",
        type: { type: { case: "date", value: {} } },
        semanticTags: ["birthdate"],
      },
    ],
    primaryKey: ["id"],
    makeAvailableToStitch: true,
  };
  const leads: FeedSpec = {
    fields: [{ incomingName: "mail", type: STRING, require: true, semanticTags: ["email"] }],
    primaryKey: ["mail"],
    makeAvailableToStitch: true,
  };
  const peopleId = await story.feed("stitched", "people", people);
  const leadsId = await story.feed("stitched", "leads", leads);
  await story.customer.put("people.csv", "id,mail,mail2,born\n1,a@x,b@x,1990-05-01\n");
  await story.customer.put("leads.csv", "mail\nc@x\n");
  await story.run(await story.courier({ feedId: peopleId, key: "people.csv" }));
  await story.run(await story.courier({ feedId: leadsId, key: "leads.csv" }));
  const view = "SELECT * FROM stitched.__stitch ORDER BY _feed";
  expect(await story.rows(view)).toEqual([
    expect.objectContaining({
      _feed: "leads",
      email: "c@x",
      "email-2": null,
      ck: null,
      birthdate: null,
    }),
    expect.objectContaining({
      _feed: "people",
      email: "a@x",
      "email-2": "b@x",
      ck: "1",
      birthdate: "1990-05-01",
    }),
  ]);

  await change(leadsId, { ...leads, makeAvailableToStitch: false });
  expect(await story.rows(view)).toEqual([expect.objectContaining({ _feed: "people" })]);
});
