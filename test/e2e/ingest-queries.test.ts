import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { type FeedLoadSchema, LoadOperation } from "@sluice/api/control/v1/courier_pb";
import { ArchiveSettings_Kind } from "@sluice/api/control/v1/file_settings_pb";
import { Task_Kind, type Workflow, Workflow_State } from "@sluice/api/control/v1/workflow_pb";
import { afterAll, beforeAll, expect, test } from "vitest";
import { zip } from "./layers.ts";
import {
  CSV,
  DAY,
  type FeedSpec,
  type FileSettings,
  INTEGER,
  STRING,
  type Story,
  startStory,
} from "./story.ts";

let story: Story;
beforeAll(async () => {
  // A worker that is killed is replaced soon.
  story = await startStory({ controlEnvironment: { SLUICE_LEASE_MS: "3000" } });
});
afterAll(async () => await story[Symbol.asyncDispose]());

const DECIMAL = { type: { case: "decimal", value: { precision: 12, scale: 2 } } } as const;
const JSON_LINES: FileSettings = { format: { case: "json", value: { shape: 2 } } };

interface QueryCourier {
  readonly feedId: string;
  readonly sql: string;
  /** Keys by tag. */
  readonly files: Readonly<Record<string, string>>;
  readonly settings?: FileSettings;
  readonly operation?: LoadOperation;
}

let made = 0;
async function courierOf({ feedId, sql, files, ...rest }: QueryCourier): Promise<string> {
  const { courier } = await story.couriers.createCourier({
    courier: {
      name: `query ${++made}`,
      credentialId: story.credentialId,
      files: Object.entries(files).map(([tag, key]) => ({
        tag,
        selection: { case: "key", value: key },
        settings: rest.settings ?? CSV,
      })),
      loads: [
        {
          feed: { case: "feedId", value: feedId },
          operation: rest.operation ?? LoadOperation.LOAD,
          ingestQuery: { sql, fileTags: Object.keys(files) },
        },
      ],
    },
  });
  return courier?.id ?? "";
}

async function run(options: QueryCourier): Promise<Workflow> {
  return await story.run(await courierOf(options));
}

const PAID: FeedSpec = {
  fields: [
    { incomingName: "customer_id", type: INTEGER, require: true },
    { incomingName: "name", type: STRING },
    { incomingName: "total", type: DECIMAL },
  ],
  primaryKey: ["customer_id"],
};

test("two files are joined by a query before the feed, loaded, and replaced by truncate and load (SC-6)", async () => {
  await story.customer.put("join/customers.csv", "id,name\n1,Ann\n2,Bo\n3,Cy\n");
  await story.customer.put("join/orders.csv", "no,customer,amount\n1,1,1.50\n2,1,2.25\n3,2,4\n");
  const feedId = await story.feed("joined", "totals", PAID);
  const sql = `SELECT c.id AS customer_id, any(c.name) AS name, sum(toDecimal64OrNull(o.amount, 2)) AS total
    FROM customers AS c JOIN orders AS o ON o.customer = c.id
    GROUP BY c.id`;
  const files = { customers: "join/customers.csv", orders: "join/orders.csv" };
  const workflow = await run({ feedId, sql, files });
  expect(workflow.failure).toBeUndefined();
  expect(workflow.state).toBe(Workflow_State.SUCCEEDED);
  const query = workflow.tasks.find(({ kind }) => kind === Task_Kind.INGEST_QUERY);
  expect(query?.progress).toMatchObject({ rows: 2n, rejectedRows: 0n });
  const select =
    "SELECT customer_id, name, toString(total) AS total, _file FROM joined.totals ORDER BY customer_id";
  expect(await story.rows(select)).toEqual([
    { customer_id: 1, name: "Ann", total: "3.75", _file: "" },
    { customer_id: 2, name: "Bo", total: "4", _file: "" },
  ]);
  const { loads } = await story.tables.listLoads({ feedId });
  expect(loads).toMatchObject([{ rows: 2n, rejectedRows: 0n }]);

  // Upsert keeps the first customer, truncate and load does not.
  await story.customer.put("join/orders.csv", "no,customer,amount\n4,2,5\n5,3,6\n");
  await run({ feedId, sql, files });
  expect((await story.rows<{ total: string }>(select)).map(({ total }) => total)).toEqual([
    "3.75",
    "5",
    "6",
  ]);
  await run({ feedId, sql, files, operation: LoadOperation.TRUNCATE_AND_LOAD });
  expect((await story.rows<{ total: string }>(select)).map(({ total }) => total)).toEqual([
    "5",
    "6",
  ]);

  // What a query reads is gone when it has run.
  await expect
    .poll(() => story.rows("SELECT name FROM system.databases WHERE name LIKE 'sluice_query%'"))
    .toEqual([]);
});

test("arrays of nested JSON become rows, and refused values rejects (PV-8, SC-6)", async () => {
  const lines = [
    {
      no: 7,
      customer: { name: "Ann" },
      items: [
        { sku: "a", qty: 2 },
        { sku: "b", qty: "many" },
      ],
    },
    { no: 8, items: [{ sku: "a", qty: 1 }] },
    { no: 9, customer: { name: "Cy" } },
  ];
  await story.customer.put(
    "orders.jsonl",
    `${lines.map((line) => JSON.stringify(line)).join("\n")}\n`,
  );
  const feedId = await story.feed("exploded", "items", {
    fields: [
      { incomingName: "no", type: INTEGER, require: true },
      { incomingName: "sku", type: STRING, require: true },
      { incomingName: "qty", type: INTEGER },
      { incomingName: "customer", type: STRING },
    ],
    primaryKey: ["no", "sku"],
    errorThresholdPercent: 50,
  });
  const sql = `SELECT no, JSONExtractString(item, 'sku') AS sku, JSON_VALUE(item, '$.qty') AS qty,
      JSONExtractString(ifNull(customer, ''), 'name') AS customer
    FROM orders ARRAY JOIN JSONExtractArrayRaw(ifNull(items, '[]')) AS item`;
  const workflow = await run({
    feedId,
    sql,
    files: { orders: "orders.jsonl" },
    settings: JSON_LINES,
  });
  expect(workflow.failure).toBeUndefined();
  expect(
    await story.rows("SELECT no, sku, qty, customer FROM exploded.items ORDER BY no, sku"),
  ).toEqual([
    { no: 7, sku: "a", qty: 2, customer: "Ann" },
    { no: 8, sku: "a", qty: 1, customer: "" },
  ]);
  const { rejects } = await story.tables.listRejects({ feedId });
  expect(rejects).toMatchObject([{ code: "bad_value", field: "qty", value: "many", key: "" }]);
});

test("XML comes by its members and as whole records (PV-8, SC-6)", async () => {
  const xml = `<list><order no="1"><total cur="EUR">5.00</total><line>a</line><line>b</line></order>
    <order no="2"><total cur="USD">7.50</total><line>c</line></order></list>`;
  await story.customer.put("orders.xml", xml);
  const feedId = await story.feed("exploded", "xml_lines", {
    fields: [
      { incomingName: "no", type: INTEGER, require: true },
      { incomingName: "line", type: STRING, require: true },
      { incomingName: "currency", type: STRING },
    ],
    primaryKey: ["no", "line"],
  });
  const sql = `WITH lines AS (
      SELECT \`@no\` AS no, JSONExtractString(_record, 'total', '@cur') AS currency,
        if(startsWith(line, '['), JSONExtract(assumeNotNull(line), 'Array(String)'), [assumeNotNull(line)]) AS texts
      FROM orders)
    SELECT no, currency, arrayJoin(texts) AS line FROM lines`;
  const workflow = await run({
    feedId,
    sql,
    files: { orders: "orders.xml" },
    settings: { format: { case: "xml", value: { rowElement: "order" } } },
  });
  expect(workflow.failure).toBeUndefined();
  expect(
    await story.rows("SELECT no, line, currency FROM exploded.xml_lines ORDER BY no, line"),
  ).toEqual([
    { no: 1, line: "a", currency: "EUR" },
    { no: 1, line: "b", currency: "EUR" },
    { no: 2, line: "c", currency: "USD" },
  ]);
});

test("fixed width is cut out of the one column of a file whose delimiter never occurs (SC-6)", async () => {
  await story.customer.put("fixed.txt", "0001Ann  001.50\n0002Bo   022.00\n");
  const feedId = await story.feed("fixed", "people", PAID);
  const workflow = await run({
    feedId,
    sql: `SELECT substring(column_1, 1, 4) AS customer_id, trimRight(substring(column_1, 5, 5)) AS name,
        substring(column_1, 10, 6) AS total
      FROM fixed`,
    files: { fixed: "fixed.txt" },
    settings: {
      format: { case: "delimited", value: { delimiter: "\u0001", quote: "", headerRows: 0 } },
    },
  });
  expect(workflow.failure).toBeUndefined();
  expect(
    await story.rows(
      "SELECT customer_id, name, toString(total) AS total FROM fixed.people ORDER BY 1",
    ),
  ).toEqual([
    { customer_id: 1, name: "Ann", total: "1.5" },
    { customer_id: 2, name: "Bo", total: "22" },
  ]);
});

test("entries of one archive are tables of their own, and what cannot be read of them is rejected (SC-6)", async () => {
  const bytes = zip([
    ["people.csv", Buffer.from('id,name\n1,Ann\n2,"Bo" x\n')],
    ["points.csv", Buffer.from("person,points\n1,10\n1,5\n2,1\n")],
  ]);
  await story.customer.put("both.zip", bytes);
  const feedId = await story.feed("archived", "people", { ...PAID, errorThresholdPercent: 50 });
  const entry = (tag: string) => ({
    tag,
    selection: { case: "name" as const, value: `${tag}.csv` },
    settings: CSV,
  });
  const sql = `SELECT id AS customer_id, any(name) AS name, sum(toInt64OrNull(points)) AS total
    FROM people JOIN points ON person = id GROUP BY id`;
  const { courier } = await story.couriers.createCourier({
    courier: {
      name: "archived",
      credentialId: story.credentialId,
      files: [
        {
          tag: "both",
          selection: { case: "key", value: "both.zip" },
          settings: {
            archive: {
              kind: ArchiveSettings_Kind.ZIP,
              entries: [entry("people"), entry("points")],
            },
          },
        },
      ],
      loads: [
        {
          feed: { case: "feedId", value: feedId },
          operation: LoadOperation.LOAD,
          ingestQuery: { sql, fileTags: ["people", "points"] },
        },
      ],
    },
  });
  const workflow = await story.run(courier?.id ?? "");
  expect(workflow.failure).toBeUndefined();
  expect(
    await story.rows("SELECT customer_id, toInt64(total) AS total FROM archived.people"),
  ).toEqual([{ customer_id: 1, total: 15 }]);
  const { rejects } = await story.tables.listRejects({ feedId });
  expect(rejects).toMatchObject([
    { key: "both.zip", entry: "people.csv", row: 2n, code: "malformed" },
  ]);
});

test("a worker killed while the query runs: another runs it anew, and every row is there once", async () => {
  const ids = Array.from({ length: 1_000 }, (_, i) => `${i + 1},name`);
  await story.customer.put("killed.csv", `id,name\n${ids.join("\n")}\n`);
  const feedId = await story.feed("killed", "people", PAID);
  const id = await courierOf({
    feedId,
    sql: `SELECT id AS customer_id, name, 1 AS total
      FROM people CROSS JOIN (SELECT max(sipHash64(number)) AS slow FROM numbers(1500000000)) AS s WHERE slow > 0`,
    files: { people: "killed.csv" },
  });
  const { workflowId } = await story.couriers.runCourier({
    id,
    scope: { case: "date", value: DAY },
  });
  const tries =
    "SELECT count() AS n FROM system.tables WHERE database LIKE 'sluice_query%' AND name LIKE 'try%result' AND total_rows = 0";
  await expect.poll(() => story.rows(tries), { timeout: 60_000, interval: 50 }).toEqual([{ n: 1 }]);
  await story.local.ingest.kill();
  await story.local.startIngest();
  for await (const _ of story.workflows.watchWorkflow({ id: workflowId }));
  const { workflow } = await story.workflows.getWorkflow({ id: workflowId });
  expect(workflow?.failure).toBeUndefined();
  const query = workflow?.tasks.find(({ kind }) => kind === Task_Kind.INGEST_QUERY);
  expect(query?.attempts.length).toBeGreaterThan(1);
  expect(
    await story.rows(
      "SELECT count() AS n, toInt64(sum(customer_id)) AS sum FROM killed.people__rows",
    ),
  ).toEqual([{ n: 1_000, sum: 500_500 }]);
});

test("a workflow that is canceled while its query runs ends the SELECT in ClickHouse too", async () => {
  await story.customer.put("canceled.csv", "id,name\n1,Ann\n");
  const feedId = await story.feed("canceled", "people", PAID);
  const id = await courierOf({
    feedId,
    sql: `SELECT id AS customer_id, name, slow % 100 AS total
      FROM people CROSS JOIN (SELECT max(sipHash64(number)) AS slow FROM numbers(10000000000000)) AS canceled`,
    files: { people: "canceled.csv" },
  });
  const { workflowId } = await story.couriers.runCourier({
    id,
    scope: { case: "date", value: DAY },
  });
  const running = async () =>
    await story.rows(
      "SELECT 1 AS runs FROM system.processes WHERE user = 'sluice_query' AND query LIKE 'INSERT%AS canceled%'",
    );
  await expect.poll(running, { timeout: 60_000, interval: 100 }).toEqual([{ runs: 1 }]);
  await story.workflows.cancelWorkflow({ id: workflowId });
  for await (const _ of story.workflows.watchWorkflow({ id: workflowId }));
  const { workflow } = await story.workflows.getWorkflow({ id: workflowId });
  expect(workflow?.state).toBe(Workflow_State.STOPPED);
  await expect.poll(running, { timeout: 60_000, interval: 500 }).toEqual([]);
  // What it read and filled is gone with it.
  const databases = "SELECT name FROM system.databases WHERE name LIKE 'sluice_query%'";
  await expect.poll(() => story.rows(databases), { timeout: 60_000 }).toEqual([]);
});

test("a primary key that stands in two rows of the result is told, and nothing is loaded", async () => {
  await story.customer.put("twice.csv", "id,name\n1,Ann\n1,Bo\n2,Cy\n");
  const feedId = await story.feed("keys", "people", PAID);
  const { failure } = await run({
    feedId,
    sql: "SELECT id AS customer_id, name, '1' AS total FROM people",
    files: { people: "twice.csv" },
  });
  expect(failure).toMatchObject({ code: "duplicate_key", coordinate: { column: "customer_id" } });
  expect(failure?.message).toContain("1 primary keys (customer_id) stand in 2 rows");
  expect(await story.rows("SELECT count() AS n FROM keys.people")).toEqual([{ n: 0 }]);
});

test("wrong SQL fails by a code that says what ClickHouse says of it, and where", async () => {
  await story.customer.put("wrong.csv", "id,name\n1,Ann\n");
  const feedId = await story.feed("wrong", "people", PAID);
  const files = { people: "wrong.csv" };
  const fail = async (sql: string) => {
    const { failure, state } = await run({ feedId, sql, files });
    expect(state).toBe(Workflow_State.FAILED);
    return { code: failure?.code, message: failure?.message };
  };
  const unknown = await fail("SELECT id AS customer_id,\n  nam AS name\nFROM people");
  expect(unknown.code).toBe("query_invalid");
  expect(unknown.message).toContain("line 2, column 3");
  expect(unknown.message).toContain("nam");
  const value = await fail("SELECT toInt64(assumeNotNull(name)) AS customer_id FROM people");
  expect(value.code).toBe("query_failed");
  expect(value.message).toContain("CANNOT_PARSE_TEXT");
  expect(value.message).not.toContain("Ann");
  const narrow = await fail("SELECT name FROM people");
  expect(narrow).toMatchObject({ code: "schema_mismatch" });
  expect(narrow.message).toContain('the primary key column "customer_id" is absent');
});

test("a query is judged before it runs: syntax, its own files, nothing outside", async () => {
  const judge = async (sql: string) => {
    const { problems } = await story.couriers.validateIngestQuery({
      query: { sql, fileTags: ["people"] },
    });
    return problems;
  };
  expect(await judge("SELECT * FROM people")).toEqual([]);
  expect(await judge("WITH p AS (SELECT * FROM people) SELECT * FROM p")).toEqual([]);
  expect(await judge("SELECT id\nFRM people\nWHERE ((1)")).toMatchObject([{ line: 3, column: 7 }]);
  expect(await judge("SELECT *\nFROM persons")).toMatchObject([{ line: 2, column: 6 }]);
  for (const [sql, said] of [
    ["DROP TABLE people", "one SELECT"],
    ["INSERT INTO people SELECT 1", "one SELECT"],
    ["SELECT 1; SELECT 2", "Multi-statements"],
    ["SELECT * FROM url('http://127.0.0.1:1/', LineAsString)", "table function url()"],
    ["SELECT * FROM s3('http://127.0.0.1:1/b/k', 'LineAsString')", "table function s3()"],
    ["SELECT * FROM remote('127.0.0.1:9000', system.one)", "table function remote()"],
    ["SELECT * FROM file('/etc/passwd', LineAsString)", "table function file()"],
    ["SELECT file('/etc/passwd')", "function file()"],
    ["SELECT * FROM system.users", "system.users cannot be read"],
    ["SELECT 1 IN system.users", "system.users cannot be read"],
    ["SELECT * FROM wrong.people", "wrong.people cannot be read"],
    ["SELECT * FROM people SETTINGS allow_ddl = 1", "SETTINGS"],
    ["SELECT * FROM people INTO OUTFILE '/tmp/x'", "nothing may stand behind"],
    ["SELECT 1) UNION ALL (SELECT * FROM url('http://127.0.0.1:1/', CSV)", "yntax error"],
  ] as const) {
    const problems = await judge(sql);
    expect(problems.map(({ message }) => message).join("; "), sql).toContain(said);
  }
});

test("a forbidden table function is refused with its place, and the query's user reaches no domain table", async () => {
  await story.customer.put("safe.csv", "id,name\n1,Ann\n");
  const feedId = await story.feed("safe", "people", PAID);
  const files = { people: "safe.csv" };
  const sql = "SELECT id AS customer_id\nFROM people, url('http://127.0.0.1:1/', CSV, 'a String')";
  const error: unknown = await courierOf({ feedId, sql, files }).catch((thrown: unknown) => thrown);
  if (!(error instanceof ConnectError)) throw new Error("the courier was taken");
  expect(error.code).toBe(Code.InvalidArgument);
  expect(error.rawMessage).toContain("courier.loads[0].ingest_query.sql: line 2, column 14");
  // What a look at the text does not show is kept by the rights of the user who runs it.
  const hidden = await run({
    feedId,
    sql: "SELECT id AS customer_id FROM people WHERE id IN safe.people__rows",
    files,
  });
  expect(hidden.failure).toMatchObject({ code: "query_forbidden" });
  expect(hidden.failure?.message).toContain("safe.people__rows");
  expect(await story.rows("SELECT count() AS n FROM safe.people")).toEqual([{ n: 0 }]);
});

test("a courier names what is wrong with its queries (SC-6)", async () => {
  const feedId = await story.feed("named", "people", PAID);
  const load: MessageInitShape<typeof FeedLoadSchema> = {
    feed: { case: "feedId", value: feedId },
    operation: LoadOperation.LOAD,
  };
  const ingestQuery = { sql: "SELECT 1", fileTags: ["file", "nowhere"] };
  const error: unknown = await story.couriers
    .createCourier({
      courier: {
        name: "wrong query",
        credentialId: story.credentialId,
        files: [{ tag: "file", selection: { case: "key", value: "a.csv" }, settings: CSV }],
        loads: [
          { ...load, fileTag: "file" },
          { ...load, ingestQuery },
        ],
      },
    })
    .catch((thrown: unknown) => thrown);
  if (!(error instanceof ConnectError)) throw new Error("the courier was taken");
  expect(error.code).toBe(Code.InvalidArgument);
  expect(error.rawMessage).toContain("courier.loads[1].ingest_query.file_tags[1]");
  expect(error.rawMessage).toContain("courier.loads[1].feed_id");
});
