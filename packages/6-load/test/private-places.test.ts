import { afterAll, beforeAll, expect, test } from "vitest";
import {
  createStaging,
  dropPrivate,
  findPrivate,
  prepareDomainTable,
  queryDatabase,
} from "../src/index.ts";
import { feedOf, field, privateTables, startTestServer, type TestServer } from "./server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
}, 60_000);
afterAll(async () => await server.stop());

const OVER = "wf_0123456789_-abcdefgh";
const GOING = "wf_-__3456789ABCDEFGHIJ";
const feed = feedOf([field("id", "integer")], { source: "left", name: "orders" });

test("what workflows have for themselves is found by their ids, and dropped for one alone", async () => {
  const { warehouse } = server;
  await prepareDomainTable(warehouse, feed);
  for (const workflowId of [OVER, GOING, "somebody_else"]) {
    await createStaging(warehouse, feed, workflowId);
  }
  await server.admin(`CREATE TABLE left.\`orders__pub_${OVER}_3\` AS left.orders__rows`);
  await server.admin(`CREATE TABLE left.\`orders__kept_${OVER}\` AS left.orders__rows`);
  const database = queryDatabase({ workflowId: OVER, feed });
  await server.admin(`CREATE DATABASE \`${database}\``);

  const found = await findPrivate(warehouse);
  const of = (id: string) =>
    found
      .filter(({ workflowId }) => workflowId === id)
      .map((place) => `${place.database}.${place.table}`)
      .sort();
  expect(of(GOING)).toEqual([`left.orders__stg_${GOING}`, `left.orders__stg_${GOING}__rejects`]);
  expect(of(OVER)).toEqual(
    [
      `left.orders__pub_${OVER}_3`,
      `left.orders__stg_${OVER}`,
      `left.orders__stg_${OVER}__rejects`,
      `${database}.`,
    ].sort(),
  );
  expect(found).toHaveLength(6);

  const left = found.filter(({ workflowId }) => workflowId === OVER);
  await dropPrivate(warehouse, left);
  await dropPrivate(warehouse, left);
  expect(await privateTables(server, feed)).toEqual(
    [
      `orders__stg_${GOING}`,
      `orders__stg_${GOING}__rejects`,
      "orders__stg_somebody_else",
      "orders__stg_somebody_else__rejects",
    ].sort(),
  );
  expect((await findPrivate(warehouse)).map(({ workflowId }) => workflowId)).toEqual([
    GOING,
    GOING,
  ]);
});
