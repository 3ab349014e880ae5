import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  dropStaging,
  hideRejects,
  patientWarehouse,
  prepareDomainTable,
  publish,
  readPublishIntent,
  readTableState,
  stageQuery,
  stageWithoutRows,
  stageWithoutWorkflow,
  type Warehouse,
} from "../src/index.ts";
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

const signal = new AbortController().signal;

describe("a patient warehouse", () => {
  /** Takes six seconds, a row at a time, where a request may take two. */
  const slow =
    "SELECT sum(sleepEachRow(0.2)) AS slept FROM numbers(30) SETTINGS max_block_size = 1";
  let impatient: Warehouse;
  beforeAll(async () => {
    await server.admin("CREATE DATABASE patient");
    await server.admin("CREATE TABLE patient.t (n UInt64) ENGINE = MergeTree ORDER BY n");
    impatient = server.connect({
      requestTimeoutMs: 2_000,
      progressIntervalMs: 100,
      retryBudgetMs: 0,
    });
  });

  test("waits for a SELECT for as long as the server is at work", async () => {
    await expect(impatient.query(slow)).rejects.toMatchObject({ code: "timeout" });
    expect(await patientWarehouse(impatient, signal).query(slow)).toEqual([{ slept: 0 }]);
  });

  test("waits for a copy of rows, and for a statement that runs once", async () => {
    const copy = `INSERT INTO patient.t ${slow}`;
    await expect(impatient.copyRows(copy)).rejects.toMatchObject({ code: "timeout" });
    await server.admin("TRUNCATE TABLE patient.t");
    const patient = patientWarehouse(impatient, signal);
    await patient.copyRows(copy);
    await patient.executeOnce(
      `CREATE TABLE patient.once ENGINE = MergeTree ORDER BY () AS ${slow}`,
    );
    expect(await server.rows("SELECT slept FROM patient.once")).toEqual([{ slept: 0 }]);
  });

  test("lets go of everything when the lease is lost, and can still clear up", async () => {
    const lease = new AbortController();
    const patient = patientWarehouse(server.connect({ progressIntervalMs: 200 }), lease.signal);
    const endless =
      "SELECT sum(sleepEachRow(0.2)) AS lost FROM numbers(100000) SETTINGS max_block_size = 1";
    const ended = patient.query(endless).catch((error: unknown) => error);
    const running = async (): Promise<number> => {
      const found = await server.rows(
        "SELECT 1 FROM system.processes WHERE query LIKE 'SELECT sum(sleepEachRow%AS lost%'",
      );
      return found.length;
    };
    const wait = { timeout: 40_000, interval: 50 };
    await expect.poll(running, wait).toBe(1);
    const reason = new Error("the lease is lost");
    lease.abort(reason);
    expect(await ended).toBe(reason);
    await expect.poll(running, wait).toBe(0);
    await expect(patient.copyRows("INSERT INTO patient.t SELECT 1")).rejects.toBe(reason);
    await patient.execute("DROP TABLE IF EXISTS patient.once SYNC");
  });
});

describe("a change of a table, however large", () => {
  const feed = feedOf([field("id", "integer"), field("v", "string")], { source: "large" });
  const isOdd = { field: "v", when: { kind: "equals", value: "odd" } } as const;
  /** Fails at every statement that looks at rows and has a clock. */
  const withoutClock = (): Warehouse => {
    const refuse = (statement: string): Promise<never> =>
      Promise.reject(new Error(`a clock runs for: ${statement}`));
    const { execute } = server.warehouse;
    const bare: Warehouse = {
      ...server.warehouse,
      query: refuse,
      readText: (statement) =>
        /^EXPLAIN/.test(statement) ? server.warehouse.readText(statement) : refuse(statement),
      copyRows: refuse,
      executeOnce: refuse,
      execute: (statement) =>
        /INSERT|SELECT .* FROM .*__rows/s.test(statement) && !/VIEW/.test(statement)
          ? refuse(statement)
          : execute(statement),
    };
    return patientWarehouse(bare, signal);
  };
  const visible = async (): Promise<unknown> =>
    await server.rows("SELECT toUInt32(id) AS id, v FROM large.customers ORDER BY id");
  const exchange = async (warehouse: Warehouse, workflowId: string): Promise<void> => {
    const intent = await readPublishIntent(warehouse, feed, workflowId, "truncate_and_load");
    await publish({ warehouse, feed, workflowId, attempt: 1, intent, keepReplaced: true });
  };

  beforeEach(async () => {
    await server.admin("DROP DATABASE IF EXISTS large SYNC");
    await prepareDomainTable(server.warehouse, feed);
    for (const [workflowId, ordinal, rows] of [
      [
        "first",
        1,
        [
          ["1", "odd"],
          ["x", "rejected"],
        ],
      ],
      ["second", 2, [["2", "even"]]],
    ] as const) {
      await stageRows(server, feed, rows, { workflowId, object: { ordinal } });
      await publishStaged(server, feed, workflowId, "load");
      await dropStaging(server.warehouse, feed, workflowId);
    }
  });

  test("deletes rows by a rule without a clock", async () => {
    const warehouse = withoutClock();
    const state = await readTableState(warehouse, feed);
    const options = { warehouse, feed, workflowId: "del", attempt: 1 };
    await stageWithoutRows(options, isOdd, { state, rows: 1 });
    await exchange(warehouse, "del");
    expect(await visible()).toEqual([{ id: 2, v: "even" }]);
  });

  test("takes a load back without a clock, and hides its rejects", async () => {
    const warehouse = withoutClock();
    const options = { warehouse, feed, workflowId: "undo", attempt: 1 };
    await stageWithoutWorkflow(options, "first");
    await exchange(warehouse, "undo");
    await hideRejects(options, "first");
    expect(await visible()).toEqual([{ id: 2, v: "even" }]);
  });

  test("fills a custom domain table without a clock", async () => {
    const warehouse = withoutClock();
    const query = {
      sql: "SELECT v, count() AS n FROM large.customers GROUP BY v",
      readableTables: ["large.customers"],
    };
    const table = { ...feed, name: "totals" };
    await stageQuery({ warehouse, feed: table, workflowId: "fill", attempt: 1 }, query);
    expect(await server.rows("SELECT v FROM large.totals__stg_fill ORDER BY v")).toEqual([
      { v: "even" },
      { v: "odd" },
    ]);
  });
});
