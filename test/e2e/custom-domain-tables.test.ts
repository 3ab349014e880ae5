import { Code, ConnectError } from "@connectrpc/connect";
import { Load_Change, Workflow_State } from "@sluice/api/control/v1/workflow_pb";
import { afterAll, beforeAll, expect, it } from "vitest";
import { INTEGER, STRING, type Story, startStory } from "./story.ts";

let story: Story;
let ordersCourier = "";
const putOrders = async (rows: readonly string[]): Promise<void> => {
  await story.customer.put("orders.csv", `id,customer,total\n${rows.join("\n")}\n`);
  expect((await story.run(ordersCourier)).state).toBe(Workflow_State.SUCCEEDED);
};
beforeAll(async () => {
  story = await startStory();
  const orders = await story.feed("web", "orders", {
    fields: [
      { incomingName: "id", type: INTEGER, require: true },
      { incomingName: "customer", type: STRING },
      { incomingName: "total", type: INTEGER },
    ],
    primaryKey: ["id"],
  });
  const people = await story.feed("crm", "people", {
    fields: [
      { incomingName: "mail", type: STRING, require: true },
      { incomingName: "name", type: STRING },
    ],
    primaryKey: ["mail"],
  });
  await story.customer.put("people.csv", "mail,name\na@x,Ada\nb@x,Bob\n");
  await story.run(await story.courier({ feedId: people, key: "people.csv" }));
  ordersCourier = await story.courier({ feedId: orders, key: "orders.csv" });
  await putOrders(["1,a@x,10", "2,a@x,5", "3,b@x,7"]);
});
afterAll(async () => await story[Symbol.asyncDispose]());

const QUERY = `SELECT people.mail AS mail, any(people.name) AS name, sum(orders.total) AS spent
FROM web.orders AS orders JOIN crm.people AS people ON orders.customer = people.mail
GROUP BY mail`;

async function publish(id: string, requestId = ""): Promise<string> {
  const { workflowId } = await story.customTables.publishCustomDomainTable({ id, requestId });
  for await (const _ of story.workflows.watchWorkflow({ id: workflowId }));
  const { workflow } = await story.workflows.getWorkflow({ id: workflowId });
  expect(workflow?.state, workflow?.failure?.message).toBe(Workflow_State.SUCCEEDED);
  return workflowId;
}

async function refused(call: Promise<unknown>, code: Code, message: RegExp): Promise<void> {
  const error = await call.catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(ConnectError);
  expect((error as ConnectError).rawMessage).toMatch(message);
  expect((error as ConnectError).code).toBe(code);
}

const spent = async (): Promise<unknown> =>
  await story.rows("SELECT mail, name, toInt32(spent) AS spent FROM web.spending ORDER BY mail");

it("makes a table of domain tables by SQL, published at once and refreshed on demand (RU-6)", async () => {
  const { columns, problems } = await story.customTables.validateCustomQuery({ query: QUERY });
  expect(problems).toEqual([]);
  expect(columns.map(({ name }) => name)).toEqual(["mail", "name", "spent"]);
  const keys = await story.customTables.findKeys({ query: QUERY });
  expect(keys.rows).toBe(2n);
  expect(keys.candidates[0]).toMatchObject({ uniqueShare: 1, distinctValues: 2n });

  const { customDomainTable: made } = await story.customTables.createCustomDomainTable({
    customDomainTable: {
      source: "web",
      name: "spending",
      query: QUERY,
      primaryKey: ["mail"],
      columnTags: [{ column: "mail", semanticTags: ["email"] }],
      makeAvailableToStitch: true,
    },
  });
  const id = made?.id ?? "";
  const workflowId = await publish(id, "first");
  const again = await story.customTables.publishCustomDomainTable({ id, requestId: "first" });
  expect(again.workflowId).toBe(workflowId);
  expect(await spent()).toEqual([
    { mail: "a@x", name: "Ada", spent: 15 },
    { mail: "b@x", name: "Bob", spent: 7 },
  ]);
  expect(await story.rows("SELECT _feed, _pk, email FROM web.__stitch ORDER BY email")).toEqual([
    { _feed: "spending", _pk: '["a@x"]', email: "a@x" },
    { _feed: "spending", _pk: '["b@x"]', email: "b@x" },
  ]);

  await putOrders(["1,a@x,10", "2,a@x,5", "3,b@x,7", "4,b@x,100"]);
  // Until it is published again, readers see what was published.
  expect(await spent()).toContainEqual({ mail: "b@x", name: "Bob", spent: 7 });
  await publish(id);
  expect(await spent()).toContainEqual({ mail: "b@x", name: "Bob", spent: 107 });
  const { loads } = await story.tables.listLoads({ feedId: id });
  expect(loads).toMatchObject([
    { change: Load_Change.CUSTOM_TABLE, rowsBefore: 2n, rowsAfter: 2n },
    { change: Load_Change.CUSTOM_TABLE, rowsBefore: 0n, rowsAfter: 2n },
  ]);

  // Other columns, while somebody reads: the old table or the new one, never neither.
  const { customDomainTable: current } = await story.customTables.getCustomDomainTable({ id });
  await story.customTables.updateCustomDomainTable({
    customDomainTable: {
      id,
      etag: current?.etag ?? "",
      query: "SELECT mail, upper(name) AS shout FROM crm.people",
    },
    updateMask: { paths: ["query"] },
  });
  const seen = new Set<string>();
  const publishing = publish(id);
  let isDone = false;
  void publishing.finally(() => {
    isDone = true;
  });
  while (!isDone) {
    const [row] = await story.rows<{ n: number }>("SELECT count() AS n FROM web.spending");
    seen.add(String(row?.n));
  }
  await publishing;
  expect([...seen]).toEqual(["2"]);
  expect(await story.rows("SELECT mail, shout FROM web.spending ORDER BY mail")).toEqual([
    { mail: "a@x", shout: "ADA" },
    { mail: "b@x", shout: "BOB" },
  ]);
});

it("reads domain tables and nothing else, whoever writes the query (RU-6)", async () => {
  for (const query of [
    "SELECT * FROM url('http://127.0.0.1:1/', LineAsString)",
    "SELECT * FROM s3('http://127.0.0.1:1/b/k', 'CSV')",
    "SELECT * FROM file('/etc/passwd', LineAsString)",
    "SELECT file('/etc/passwd') AS secret",
    "SELECT * FROM remote('127.0.0.1', system.one)",
    "SELECT * FROM system.users",
    "SELECT * FROM web.orders__rows",
    "DROP TABLE web.orders__rows",
    "SELECT nothing FROM web.orders",
  ]) {
    const { problems, columns } = await story.customTables.validateCustomQuery({ query });
    expect(columns).toEqual([]);
    expect(problems[0]?.message).toMatch(/\w/);
    await refused(
      story.customTables.createCustomDomainTable({
        customDomainTable: { source: "web", name: "stolen", query },
      }),
      Code.InvalidArgument,
      /custom_domain_table\.query/,
    );
    await refused(story.customTables.findKeys({ query }), Code.InvalidArgument, /query/);
  }
});

it("is listed and deleted with its rows, and shares its names with feeds (RU-6)", async () => {
  const table = {
    source: "web",
    name: "doubled",
    query: "SELECT id, total * 2 AS twice FROM web.orders",
  };
  const { customDomainTable: made } = await story.customTables.createCustomDomainTable({
    customDomainTable: table,
    requestId: "once",
  });
  const id = made?.id ?? "";
  const repeated = await story.customTables.createCustomDomainTable({
    customDomainTable: table,
    requestId: "once",
  });
  expect(repeated.customDomainTable?.id).toBe(id);
  await publish(id);
  const { customDomainTables } = await story.customTables.listCustomDomainTables({});
  expect(customDomainTables.map(({ name }) => name)).toContain("doubled");
  const spec = {
    fields: [{ incomingName: "id", type: INTEGER, require: true }],
    primaryKey: ["id"],
  };
  await refused(story.feed("web", "doubled", spec), Code.AlreadyExists, /doubled/);
  await refused(
    story.customTables.createCustomDomainTable({ customDomainTable: { ...table, name: "orders" } }),
    Code.AlreadyExists,
    /orders/,
  );
  await story.customTables.deleteCustomDomainTable({ id });
  await refused(story.customTables.getCustomDomainTable({ id }), Code.NotFound, /custom/);
  expect(
    await story.rows(
      "SELECT name FROM system.tables WHERE database = 'web' AND name LIKE 'doubled%'",
    ),
  ).toEqual([]);
  expect((await story.tables.listLoads({ feedId: id })).loads).toEqual([]);
});
