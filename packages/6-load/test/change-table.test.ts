import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  countVisible,
  dropStaging,
  prepareDomainTable,
  publish,
  readDeleteEffect,
  readPublishIntent,
  readTableState,
  stageNothing,
  stageReplacedTable,
  stageWithoutRows,
  stageWithoutWorkflow,
  type Warehouse,
} from "../src/index.ts";
import { crashing } from "./crashing.ts";
import {
  feedOf,
  field,
  publishStaged,
  stageRows,
  startTestServer,
  type TestServer,
} from "./server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
}, 60_000);
afterAll(async () => await server.stop());

const feed = feedOf([field("id", "integer"), field("v", "string")], { source: "change" });
const at = { source: "change", name: "customers" };
const isOne = { field: "v", when: { kind: "equals", value: "one" } } as const;

const visible = async (): Promise<string[]> => {
  const rows = await server.rows<{ r: string }>(
    "SELECT concat(toString(id), '=', v) AS r FROM change.customers ORDER BY id",
  );
  return rows.map(({ r }) => r);
};
const tables = async (): Promise<string[]> => {
  const rows = await server.rows<{ name: string }>(
    "SELECT name FROM system.tables WHERE database = 'change' ORDER BY name",
  );
  return rows.map(({ name }) => name);
};

beforeEach(async () => {
  await server.admin("DROP DATABASE IF EXISTS change SYNC");
  await prepareDomainTable(server.warehouse, feed);
  for (const [workflowId, ordinal, rows] of [
    ["first", 1, [["1", "one"]]],
    ["second", 2, [["2", "two"]]],
  ] as const) {
    await stageRows(server, feed, rows, { workflowId, object: { ordinal } });
    await publishStaged(server, feed, workflowId, "load");
    await dropStaging(server.warehouse, at, workflowId);
  }
});

/** One attempt of a change from its first statement to its last, as a worker makes it. */
async function change(
  stage: (warehouse: Warehouse, attempt: number) => Promise<void>,
  options: {
    warehouse: Warehouse;
    attempt: number;
    workflowId: string;
    recorded: { intent?: Awaited<ReturnType<typeof readPublishIntent>> };
    keepReplaced: boolean;
  },
): Promise<void> {
  const { warehouse, attempt, workflowId, recorded, keepReplaced } = options;
  if (recorded.intent === undefined) {
    await stage(warehouse, attempt);
    recorded.intent = await readPublishIntent(warehouse, feed, workflowId, "truncate_and_load");
  }
  await publish({ warehouse, feed, workflowId, attempt, intent: recorded.intent, keepReplaced });
}

describe("a change of a table that crashes", () => {
  const points = [
    /CREATE TABLE IF NOT EXISTS .*build_/,
    /INSERT INTO .*build_/,
    /RENAME TABLE .*build_/,
    /RENAME TABLE .*__stg_del` TO/,
    /EXCHANGE/,
    /RENAME TABLE .*kept/,
  ];
  test.each(
    points.flatMap((point) => [
      { point, when: "before" as const },
      { point, when: "after" as const },
    ]),
  )("$when $point ends in the same rows, with what it replaced kept", async ({ point, when }) => {
    const { state, rows } = await readDeleteEffect(server.warehouse, feed, isOne, 5);
    const stage = async (warehouse: Warehouse, attempt: number): Promise<void> =>
      await stageWithoutRows({ warehouse, feed, workflowId: "del", attempt }, isOne, {
        state,
        rows,
      });
    const recorded = {};
    const base = { workflowId: "del", recorded, keepReplaced: true };
    await expect(
      change(stage, { ...base, warehouse: crashing(server.warehouse, point, when), attempt: 1 }),
    ).rejects.toThrow("crashed");
    await change(stage, { ...base, warehouse: server.warehouse, attempt: 2 });
    await change(stage, { ...base, warehouse: server.warehouse, attempt: 3 });
    expect(await visible()).toEqual(["2=two"]);
    await dropStaging(server.warehouse, at, "del");
    expect(await tables()).toEqual([
      "customers",
      "customers__kept_del",
      "customers__rejects",
      "customers__rows",
    ]);
    const undo = async (warehouse: Warehouse, attempt: number): Promise<void> =>
      await stageReplacedTable({ warehouse, feed, workflowId: "undo", attempt }, "del");
    const undone = { workflowId: "undo", recorded: {}, keepReplaced: false };
    await change(undo, { ...undone, warehouse: server.warehouse, attempt: 1 });
    await dropStaging(server.warehouse, at, "undo");
    expect(await visible()).toEqual(["1=one", "2=two"]);
    expect(await tables()).toEqual(["customers", "customers__rejects", "customers__rows"]);
  });
});

test("a table that is not the one that was planned with is left alone", async () => {
  const { state, rows } = await readDeleteEffect(server.warehouse, feed, isOne, 5);
  await stageRows(server, feed, [["1", "one"]], { workflowId: "third", object: { ordinal: 3 } });
  await publishStaged(server, feed, "third", "load");
  // The same count, the same values: another version.
  expect((await readTableState(server.warehouse, at)).rows).toBe(state.rows);
  const options = { warehouse: server.warehouse, feed, workflowId: "del", attempt: 1 };
  await expect(stageWithoutRows(options, isOne, { state, rows })).rejects.toThrow(
    "publish/conflict",
  );
});

test("the rows of a workflow go, and the last replaced table alone is kept", async () => {
  const { warehouse } = server;
  const base = { recorded: {}, warehouse, attempt: 1 };
  await change(
    async (_, attempt) =>
      await stageWithoutWorkflow({ warehouse, feed, workflowId: "u", attempt }, "second"),
    { ...base, workflowId: "u", keepReplaced: false },
  );
  expect(await visible()).toEqual(["1=one"]);
  for (const workflowId of ["t1", "t2"]) {
    await change(
      async (_, attempt) => await stageNothing({ warehouse, feed, workflowId, attempt }),
      {
        ...base,
        recorded: {},
        workflowId,
        keepReplaced: true,
      },
    );
    expect(await visible()).toEqual([]);
  }
  expect((await tables()).filter((name) => name.includes("kept"))).toEqual(["customers__kept_t2"]);
});

test("rows are counted in passing, of one workflow and of all, and not in a table of many millions", async () => {
  const count = async (): Promise<unknown> => await countVisible(server.warehouse, at, "first");
  expect(await count()).toEqual({ rows: 2, own: 1 });
  await server.admin(
    "INSERT INTO change.customers__rows (id, v) SELECT number, 'x' FROM numbers(5000000)",
  );
  expect(await count()).toBeUndefined();
});
