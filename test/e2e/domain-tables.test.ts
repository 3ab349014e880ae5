import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { LoadOperation } from "@sluice/api/control/v1/courier_pb";
import { FeedSpecSchema } from "@sluice/api/control/v1/feed_pb";
import { Load_Change, Workflow_State } from "@sluice/api/control/v1/workflow_pb";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type FeedSpec, INTEGER, STRING, type Story, startStory } from "./story.ts";

let story: Story;
beforeAll(async () => {
  story = await startStory();
});
afterAll(async () => await story[Symbol.asyncDispose]());

const SPEC: FeedSpec = {
  fields: [
    { incomingName: "id", type: INTEGER, require: true, semanticTags: ["ck"] },
    { incomingName: "name", type: STRING },
    { incomingName: "day", type: { type: { case: "date", value: {} } } },
  ],
  primaryKey: ["id"],
  errorThresholdPercent: 100,
};

/** A feed with a courier for every operation; files are put as rows of "id,name,day". */
async function table(name: string, spec: FeedSpec = SPEC) {
  const feedId = await story.feed("shop", name, spec);
  const couriers = new Map<LoadOperation, string>();
  const load = async (
    rows: readonly string[],
    operation: LoadOperation = LoadOperation.LOAD,
  ): Promise<string> => {
    const key = `${name}-${operation}.csv`;
    await story.customer.put(key, `id,name,day\n${rows.join("\n")}\n`);
    const courierId = couriers.get(operation) ?? (await story.courier({ feedId, key, operation }));
    couriers.set(operation, courierId);
    const workflow = await story.run(courierId);
    expect(workflow.failure).toBeUndefined();
    return workflow.id;
  };
  const rows = async (): Promise<string[]> => {
    const found = await story.rows<{ r: string }>(
      `SELECT concat(toString(id), ' ', name) AS r FROM shop.${name} ORDER BY id`,
    );
    return found.map(({ r }) => r);
  };
  /** All that readers see, versions and places of origin included. */
  const whole = async (): Promise<unknown> =>
    await story.rows(`SELECT *, toString(_updated) AS version FROM shop.${name} ORDER BY id`);
  return { feedId, load, rows, whole };
}

/** Waits for a workflow that changes a table. */
async function done(
  begun: Promise<{ workflowId: string }>,
  state: Workflow_State = Workflow_State.SUCCEEDED,
) {
  const { workflowId } = await begun;
  for await (const _ of story.workflows.watchWorkflow({ id: workflowId }));
  const { workflow } = await story.workflows.getWorkflow({ id: workflowId });
  expect(workflow?.state, workflow?.failure?.message).toBe(state);
  if (workflow === undefined) throw new Error("the workflow is gone");
  return workflow;
}

async function refused(call: Promise<unknown>, code: Code, message: RegExp): Promise<void> {
  const error = await call.catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(ConnectError);
  expect((error as ConnectError).rawMessage).toMatch(message);
  expect((error as ConnectError).code).toBe(code);
}

describe("domain tables", () => {
  it("are listed with rows, bytes and what last changed them, and their loads with the rows before and after (RU-4, FE-6)", async () => {
    const listed = await table("listed");
    await listed.load(["1,One,2026-01-01", "2,Two,2026-01-02", "x,Bad,2026-01-03"]);
    await listed.load(["2,Zwei,2026-01-02", "3,Drei,2026-01-03"]);
    const { domainTables } = await story.tables.listDomainTables({ source: "shop", pageSize: 200 });
    const found = domainTables.find(({ feedId }) => feedId === listed.feedId);
    expect(found).toMatchObject({
      database: "shop",
      table: "listed",
      exists: true,
      rows: 3n,
      rejectedRows: 1n,
    });
    expect(found?.bytes).toBeGreaterThan(0n);
    expect(found?.lastLoad).toMatchObject({
      rows: 2n,
      rowsAfter: 3n,
      operation: LoadOperation.LOAD,
    });

    const { loads } = await story.tables.listLoads({ feedId: listed.feedId });
    expect(loads).toMatchObject([
      { change: Load_Change.LOAD, rows: 2n, rowsBefore: 2n, rowsAfter: 3n, visibleRows: 2n },
      { change: Load_Change.LOAD, rows: 2n, rejectedRows: 1n, rowsBefore: 0n, rowsAfter: 2n },
    ]);
    const { rows } = await story.tables.sampleRows({ feedId: listed.feedId });
    expect(rows).toHaveLength(3);

    await table("listed2");
    const first = await story.tables.listDomainTables({ source: "shop", pageSize: 1 });
    const second = await story.tables.listDomainTables({
      source: "shop",
      pageSize: 1,
      pageToken: first.nextPageToken,
    });
    expect([...first.domainTables, ...second.domainTables].map((each) => each.table)).toEqual([
      "listed",
      "listed2",
    ]);
    expect(second.domainTables[0]).toMatchObject({ exists: false, rows: 0n });
  });

  it("take a load back that replaced nothing, rejects included, and it can be loaded again (RU-4)", async () => {
    const { feedId, load, rows, whole } = await table("added");
    await load(["1,One,2026-01-01"]);
    const before = await whole();
    const added = await load(["2,Two,2026-01-02", "x,Bad,2026-01-02"]);
    expect(await rows()).toEqual(["1 One", "2 Two"]);
    const request = { feedId, workflowId: added, requestId: "undo-1" };
    const undo = await done(story.tables.undoLoad(request));
    expect(await whole()).toEqual(before);
    expect((await story.tables.listRejects({ feedId })).rejects).toEqual([]);
    // The same call starts nothing new.
    expect((await story.tables.undoLoad(request)).workflowId).toBe(undo.id);
    await refused(
      story.tables.undoLoad({ feedId, workflowId: added }),
      Code.FailedPrecondition,
      /undone by workflow/,
    );
    const { loads } = await story.tables.listLoads({ feedId });
    expect(loads[0]).toMatchObject({ change: Load_Change.UNDO, undoes: added, rowsAfter: 1n });
    expect(loads[1]).toMatchObject({ workflowId: added, undoneBy: undo.id });
    // The same bytes: a file whose rows were taken back does not count as loaded.
    await load(["2,Two,2026-01-02", "x,Bad,2026-01-02"]);
    expect(await rows()).toEqual(["1 One", "2 Two"]);
  });

  it("refuse to take a load back whose replaced rows are gone, and one that others came after", async () => {
    const { feedId, load, whole } = await table("upserted");
    const first = await load(["1,One,2026-01-01"]);
    const second = await load(["1,Eins,2026-01-01", "2,Zwei,2026-01-02"]);
    const before = await whole();
    await refused(
      story.tables.undoLoad({ feedId, workflowId: second }),
      Code.FailedPrecondition,
      /1 of its rows took the place of earlier ones, which are not kept/,
    );
    await refused(
      story.tables.undoLoad({ feedId, workflowId: first }),
      Code.FailedPrecondition,
      new RegExp(`workflow ${second} changed the table later`),
    );
    const { loads } = await story.tables.listLoads({ feedId });
    expect(loads[0]?.undoRefusal).toMatch(/took the place/);
    await refused(
      story.tables.undoLoad({ feedId, workflowId: "wf_nobody" }),
      Code.NotFound,
      /published nothing/,
    );
    expect(await whole()).toEqual(before);
  });

  it("bring back what a truncate and load replaced, row for row, also after later loads were undone (FE-6)", async () => {
    const { feedId, load, rows, whole } = await table("replaced");
    await load(["1,One,2026-01-01", "2,Two,2026-01-02"]);
    const before = await whole();
    const replaced = await load(["1,Uno,2026-01-01"], LoadOperation.TRUNCATE_AND_LOAD);
    const later = await load(["9,Nove,2026-01-01"]);
    expect(await rows()).toEqual(["1 Uno", "9 Nove"]);
    await done(story.tables.undoLoad({ feedId, workflowId: later }));
    expect(await rows()).toEqual(["1 Uno"]);
    // A field that came meanwhile stands in the table that comes back, empty.
    await story.feeds.updateFeed({
      feed: {
        id: feedId,
        spec: create(FeedSpecSchema, {
          ...SPEC,
          fields: [...(SPEC.fields ?? []), { incomingName: "mail", type: STRING }],
        }),
      },
      updateMask: { paths: ["spec"] },
    });
    await story.feeds.activateFeed({ id: feedId });
    await done(story.tables.undoLoad({ feedId, workflowId: replaced }));
    expect(await rows()).toEqual(["1 One", "2 Two"]);
    const now = await whole();
    expect(now).toEqual((before as object[]).map((row) => ({ ...row, mail: null })));
    await load(["3,Three,2026-01-03"]);
    expect(await rows()).toEqual(["1 One", "2 Two", "3 Three"]);
  });
});

describe("rows", () => {
  it("are deleted by a rule in two steps, all at once, and come back by an undo", async () => {
    const { feedId, load, rows, whole } = await table("ruled");
    await load(["1,One,2026-01-01", "2,Two,2026-02-01", "3,Three,2026-03-01", "4,Four,"]);
    const before = await whole();
    const olderThan = { field: "day", when: { case: "olderThan", value: "2026-02-01" } } as const;
    const plan = await story.tables.planDeleteRows({ feedId, rule: olderThan });
    expect(plan).toMatchObject({ rows: 1n, remainingRows: 3n });
    expect(plan.samples[0]?.values).toMatchObject({ id: "1", name: "One" });
    expect(await whole()).toEqual(before);

    const request = { feedId, planToken: plan.planToken, requestId: "older" };
    const deleted = await done(story.tables.deleteRows(request));
    expect(await rows()).toEqual(["2 Two", "3 Three", "4 Four"]);
    expect((await story.tables.deleteRows(request)).workflowId).toBe(deleted.id);
    expect((await story.tables.listLoads({ feedId })).loads[0]).toMatchObject({
      change: Load_Change.DELETE_ROWS,
      rowsBefore: 4n,
      rowsAfter: 3n,
      undoRefusal: "",
    });
    await done(story.tables.undoLoad({ feedId, workflowId: deleted.id }));
    expect(await whole()).toEqual(before);

    const within = { case: "within", value: { start: "2026-02-01", end: "2026-03-01" } } as const;
    const rules = [
      { rule: { field: "day", when: within }, left: ["1 One", "3 Three", "4 Four"] },
      {
        rule: { field: "name", when: { case: "equals", value: "Three" } },
        left: ["1 One", "4 Four"],
      },
      { rule: { field: "day", when: { case: "isEmpty", value: true } }, left: ["1 One"] },
    ] as const;
    for (const { rule, left } of rules) {
      const { planToken, rows: count } = await story.tables.planDeleteRows({ feedId, rule });
      expect(count).toBe(1n);
      await done(story.tables.deleteRows({ feedId, planToken }));
      expect(await rows()).toEqual(left);
    }
  });

  it("are not deleted when the table is another one than was counted, or the rule makes no sense", async () => {
    const { feedId, load, rows } = await table("moved");
    await load(["1,One,2026-01-01"]);
    const rule = { field: "id", when: { case: "equals", value: "1" } } as const;
    const { planToken } = await story.tables.planDeleteRows({ feedId, rule });
    await load(["2,Two,2026-01-01"]);
    await refused(
      story.tables.deleteRows({ feedId, planToken }),
      Code.FailedPrecondition,
      /has changed since/,
    );
    // Somebody changed the table behind the product's back: nothing is on record, the rows themselves tell.
    const fresh = await story.tables.planDeleteRows({ feedId, rule });
    await story.clickhouse.command({
      query: "INSERT INTO shop.moved__rows (id, name, _updated) VALUES (7, 'Seven', 7)",
    });
    const failed = await done(
      story.tables.deleteRows({ feedId, planToken: fresh.planToken }),
      Workflow_State.FAILED,
    );
    expect(failed.failure).toMatchObject({ code: "conflict" });
    expect(await rows()).toEqual(["1 One", "2 Two", "7 Seven"]);

    const plan = (field: string, value: string) =>
      story.tables.planDeleteRows({ feedId, rule: { field, when: { case: "olderThan", value } } });
    await refused(plan("day", "yesterday"), Code.InvalidArgument, /rule\.older_than/);
    await refused(plan("nothing", "1"), Code.InvalidArgument, /rule\.field/);
    await refused(plan("name", "x"), Code.InvalidArgument, /rule\.older_than/);
    await refused(
      story.tables.deleteRows({ feedId, planToken: `${fresh.planToken}x` }),
      Code.InvalidArgument,
      /plan_token/,
    );
  });
});

describe("a whole table", () => {
  it("is truncated at once, and comes back by an undo", async () => {
    const { feedId, load, rows, whole } = await table("emptied");
    await load(["1,One,2026-01-01", "2,Two,2026-01-02"]);
    const before = await whole();
    const request = { feedId, requestId: "empty it" };
    const truncated = await done(story.tables.truncateDomainTable(request));
    expect((await story.tables.truncateDomainTable(request)).workflowId).toBe(truncated.id);
    expect(await rows()).toEqual([]);
    await done(story.tables.undoLoad({ feedId, workflowId: truncated.id }));
    expect(await whole()).toEqual(before);
    await done(story.tables.truncateDomainTable({ feedId }));
    await load(["1,One,2026-01-01", "2,Two,2026-01-02"]);
    expect(await rows()).toEqual(["1 One", "2 Two"]);
  });

  it("is purged with its rejects and history, and loads again under another primary key (FE-13)", async () => {
    const { feedId, load, rows } = await table("purged", { ...SPEC, makeAvailableToStitch: true });
    const other = await table("unpurged", { ...SPEC, makeAvailableToStitch: true });
    await load(["1,One,2026-01-01", "x,Bad,2026-01-01"]);
    await other.load(["5,Five,2026-01-01"]);
    await refused(
      story.tables.purgeDomainTable({ feedId, confirmTable: "shop.unpurged" }),
      Code.InvalidArgument,
      /confirm_table/,
    );
    await done(story.tables.purgeDomainTable({ feedId, confirmTable: "shop.purged" }));
    expect(
      await story.rows(
        "SELECT name FROM system.tables WHERE database = 'shop' AND name LIKE 'purged%'",
      ),
    ).toEqual([]);
    expect((await story.tables.listLoads({ feedId })).loads).toEqual([]);
    expect((await story.tables.getDomainTable({ feedId })).domainTable).toMatchObject({
      exists: false,
    });
    expect(await story.rows("SELECT _feed FROM shop.__stitch")).toEqual([{ _feed: "unpurged" }]);

    await story.feeds.updateFeed({
      feed: {
        id: feedId,
        spec: create(FeedSpecSchema, {
          ...SPEC,
          fields: (SPEC.fields ?? []).map((field) => ({ ...field, require: true })),
          primaryKey: ["name"],
        }),
      },
      updateMask: { paths: ["spec"] },
    });
    await story.feeds.activateFeed({ id: feedId });
    await load(["1,One,2026-01-01", "1,Uno,2026-01-01"]);
    expect(await rows()).toEqual(expect.arrayContaining(["1 One", "1 Uno"]));
  });

  it("waits with its change for a load that is being published, and never runs beside one", async () => {
    const { feedId, load, rows } = await table("turns");
    await load(["1,One,2026-01-01"]);
    // Changes and loads begun together take their turns; each sees what the ones before it left.
    const begun = await Promise.all([
      story.tables.truncateDomainTable({ feedId }),
      story.tables.truncateDomainTable({ feedId }),
    ]);
    await load(["2,Two,2026-01-01"]);
    for (const workflow of begun) await done(Promise.resolve(workflow));
    const { loads } = await story.tables.listLoads({ feedId });
    expect(loads).toHaveLength(4);
    for (const [index, { rowsBefore }] of loads.slice(0, -1).entries()) {
      expect(rowsBefore).toBe(loads[index + 1]?.rowsAfter);
    }
    expect(await rows()).toEqual(loads[0]?.change === Load_Change.LOAD ? ["2 Two"] : []);
  });
});
