import type { Feed } from "@sluice/schema";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { prepareDomainTable, prepareStitchView } from "../src/index.ts";
import {
  feedOf,
  field,
  publishStaged,
  stageRows,
  startTestServer,
  type TestRow,
  type TestServer,
} from "./server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
}, 60_000);
afterAll(async () => await server.stop());
beforeEach(async () => await server.admin("DROP DATABASE IF EXISTS people SYNC"));

const customers = feedOf(
  [
    field("id", "integer", { semanticTags: ["ck"] }),
    field("region", "string"),
    field("mail", "string", { semanticTags: ["email"] }),
    field("work_mail", "string", { semanticTags: ["email", "work-email"] }),
    field("born", "date", { semanticTags: ["birthdate"] }),
    field("seen", "datetime", { semanticTags: ["update-dt"] }),
    field("left_out", "string", { semanticTags: ["phone"], include: false }),
  ],
  {
    source: "people",
    name: "customers",
    primaryKey: ["region", "id"],
    makeAvailableToStitch: true,
  },
);
const visits = feedOf(
  [
    field("no", "integer"),
    field("mail", "string", { semanticTags: ["email"] }),
    field("spent", "decimal", { semanticTags: ["amount"] }),
    field("is_new", "boolean", { semanticTags: ["is-new"] }),
  ],
  { source: "people", name: "visits", makeAvailableToStitch: true },
);
const hidden = { ...visits, name: "hidden", makeAvailableToStitch: false };

async function load(feed: Feed, rows: readonly TestRow[]): Promise<void> {
  await stageRows(server, feed, rows);
  await publishStaged(server, feed);
}

const view = async (): Promise<unknown[]> =>
  await server.rows("SELECT * FROM people.__stitch ORDER BY _feed, _pk");
const exists = async (): Promise<unknown> =>
  (
    await server.rows(
      "SELECT 1 AS one FROM system.tables WHERE database = 'people' AND name = '__stitch'",
    )
  ).length;

const nothing = {
  amount: null,
  birthdate: null,
  ck: null,
  email: null,
  "email-2": null,
  "is-new": null,
  "update-dt": null,
  "work-email": null,
};

test("the view shows each available feed's newest rows under their tags, as text, and loses no value", async () => {
  await load(customers, [
    ["1", 'eu "x"', "a@x", "b@x", "1999-12-31", "2024-02-29T01:02:03.5Z"],
    ["2", "us", "old", null, null, null],
    ["2", "us", "c@x", "", null, null],
  ]);
  await load(visits, [["7", "a@x", "1.50", "yes"]]);
  await load(hidden, [["8", "secret", "2", "no"]]);
  await prepareStitchView(server.warehouse, "people", [customers, visits, hidden]);
  expect(await view()).toEqual([
    {
      ...nothing,
      _feed: "customers",
      _pk: '["eu \\"x\\"","1"]',
      ck: "1",
      email: "a@x",
      "email-2": "b@x",
      "work-email": "b@x",
      birthdate: "1999-12-31",
      "update-dt": "2024-02-29T01:02:03.500000Z",
    },
    {
      ...nothing,
      _feed: "customers",
      _pk: '["us","2"]',
      ck: "2",
      email: "c@x",
      "email-2": "",
      "work-email": "",
    },
    { ...nothing, _feed: "visits", _pk: '["7"]', email: "a@x", amount: "1.5", "is-new": "true" },
  ]);
  const types = await server.rows<{ type: string }>(
    "SELECT DISTINCT type FROM system.columns WHERE database = 'people' AND table = '__stitch' AND NOT startsWith(name, '_')",
  );
  expect(types).toEqual([{ type: "Nullable(String)" }]);
});

test("the view follows its feeds, leaves out tables that are not there, and goes with the last", async () => {
  await prepareDomainTable(server.warehouse, customers);
  await prepareStitchView(server.warehouse, "people", [customers, visits]);
  expect(await view()).toEqual([]);
  await load(visits, [["7", "a@x", "1", "no"]]);
  await prepareStitchView(server.warehouse, "people", [customers, visits]);
  expect(await view()).toMatchObject([{ _feed: "visits", email: "a@x", "is-new": "false" }]);
  const off = [customers, visits].map((feed) => ({ ...feed, makeAvailableToStitch: false }));
  await prepareStitchView(server.warehouse, "people", off);
  expect(await exists()).toBe(0);
  await prepareStitchView(server.warehouse, "people", []);
});

test("a column that the domain table does not have yet is left out", async () => {
  await load(visits, [["7", "a@x", "1", "no"]]);
  const newer = {
    ...visits,
    fields: [...visits.fields, field("city", "string", { semanticTags: ["city"] })],
  };
  await prepareStitchView(server.warehouse, "people", [newer]);
  expect(await view()).toMatchObject([{ email: "a@x", city: null }]);
});

test("tags that look like another's second or like the view's own columns keep columns of their own", async () => {
  const odd = feedOf(
    [
      field("a", "integer", { semanticTags: ["_pk", "x`'\\"] }),
      field("b", "string", { semanticTags: ["email"] }),
      field("c", "string", { semanticTags: ["email"] }),
      field("d", "string", { semanticTags: ["email-2", "email-2"] }),
    ],
    { source: "people", name: "odd", makeAvailableToStitch: true },
  );
  await load(odd, [["1", "b", "c", "d"]]);
  await prepareStitchView(server.warehouse, "people", [odd]);
  expect(await view()).toEqual([
    {
      _feed: "odd",
      _pk: '["1"]',
      "_pk-1": "1",
      "x`'\\": "1",
      email: "b",
      "email-2": "d",
      "email-3": "c",
    },
  ]);
});

test("may be made by several at once, and again", async () => {
  await prepareDomainTable(server.warehouse, customers);
  await prepareDomainTable(server.warehouse, visits);
  await Promise.all(
    [1, 2, 3, 4, 5, 6].map(
      async (n) =>
        await prepareStitchView(
          server.warehouse,
          "people",
          n % 2 === 0 ? [customers] : [customers, visits],
        ),
    ),
  );
  await prepareStitchView(server.warehouse, "people", [customers, visits]);
  expect(await view()).toEqual([]);
});

test("a feed of another source, and a feed of the view's name, are refused", async () => {
  await expect(
    prepareStitchView(server.warehouse, "people", [{ ...visits, source: "other" }]),
  ).rejects.toMatchObject({ stage: "load", code: "rejected" });
  await expect(
    prepareDomainTable(server.warehouse, { ...visits, name: "__stitch" }),
  ).rejects.toMatchObject({ stage: "load", code: "rejected" });
});
