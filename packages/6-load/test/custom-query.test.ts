import { afterAll, beforeAll, expect, test } from "vitest";
import {
  checkCustomQuery,
  createStaging,
  dropStaging,
  findKeys,
  prepareDomainTable,
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
const feed = feedOf([field("id", "integer"), field("city", "string"), field("day", "string")], {
  source: "q",
});
beforeAll(async () => {
  server = await startTestServer();
  await prepareDomainTable(server.warehouse, feed);
  await createStaging(server.warehouse, { source: "q", name: "customers" }, "w");
  const rows = [
    ["1", "Rome", "a"],
    ["2", "Rome", "b"],
    ["3", "Oslo", "a"],
  ];
  await stageRows(server, feed, rows as never, { workflowId: "w", object: { ordinal: 1 } });
  await publishStaged(server, feed, "w", "load");
  await dropStaging(server.warehouse, { source: "q", name: "customers" }, "w");
}, 60_000);
afterAll(async () => await server.stop());

const check = async (sql: string): Promise<{ columns: string[]; faults: string[] }> => {
  const { columns, faults } = await checkCustomQuery(server.warehouse, "q", {
    sql,
    readableTables: ["q.customers"],
  });
  return {
    columns: columns.map(({ name, type }) => `${name} ${type}`),
    faults: faults.map(({ message }) => message),
  };
};

test.each([
  [
    "SELECT city, count() AS n FROM q.customers GROUP BY city",
    ["city Nullable(String)", "n UInt64"],
  ],
  [
    "WITH a AS (SELECT id FROM q.customers) SELECT a.id AS id FROM a JOIN q.customers AS b USING (id)",
    ["id Int64"],
  ],
  ["SELECT 1 AS one UNION ALL SELECT number FROM numbers(2)", ["one UInt64"]],
])("a query over domain tables gives its columns: %s", async (sql, columns) => {
  expect(await check(sql)).toEqual({ columns, faults: [] });
});

test.each(["q.later", "fresh.later"])(
  "a table that was never filled is named as such: %s",
  async (table) => {
    const sql = `SELECT id FROM ${table}`;
    const looked = await checkCustomQuery(server.warehouse, "q", { sql, readableTables: [table] });
    expect(looked.columns).toEqual([]);
    expect(looked.faults).toMatchObject([
      {
        message: expect.stringMatching(/not there yet: load the feed, or publish/),
        isForbidden: false,
      },
    ]);
  },
);

// Attack Q2.
test.each([
  "SELECT * FROM url('http://127.0.0.1:1/', LineAsString)",
  "SELECT * FROM s3('http://127.0.0.1:1/b/k', 'CSV')",
  "SELECT * FROM remote('127.0.0.1:1', system.one)",
  "SELECT * FROM file('/etc/passwd', LineAsString)",
  "SELECT * FROM merge('q', '.*')",
  "SELECT file('/etc/passwd') AS secret",
  "SELECT * FROM system.users",
  "SELECT * FROM system.tables",
  "SELECT id FROM q.customers WHERE id IN (SELECT 1 FROM system.query_log)",
  "SELECT id FROM q.customers WHERE id IN system.one",
  "SELECT (SELECT count() FROM system.parts) AS n",
  "SELECT * FROM q.customers__rows",
  "SELECT * FROM q.customers__rejects",
  "SELECT * FROM elsewhere.orders",
  "SELECT id FROM q.customers SETTINGS max_threads = 1",
  "SELECT id FROM q.customers FORMAT CSV",
  "DROP TABLE q.customers__rows",
  "INSERT INTO q.customers__rows (id) VALUES (9)",
  "SELECT 1; SELECT 2",
  "SELEC 1",
  "SELECT nothing FROM q.customers",
])("anything else is refused with a reason: %s", async (sql) => {
  const { columns, faults } = await check(sql);
  expect(columns).toEqual([]);
  expect(faults[0]).toMatch(/\w/);
  const left = await server.rows("SELECT name FROM system.tables WHERE name LIKE '%look%'");
  expect(left).toEqual([]);
});

test("keys are found by the share of distinct values, of columns and of pairs", async () => {
  const sql = "SELECT city, day FROM q.customers";
  const found = await findKeys(server.warehouse, "q", { sql, readableTables: ["q.customers"] });
  expect(found.rows).toBe(3);
  expect(found.candidates).toEqual([
    { columns: ["city", "day"], distinct: 3, empty: 0 },
    { columns: ["city"], distinct: 2, empty: 0 },
    { columns: ["day"], distinct: 2, empty: 0 },
  ]);
});
