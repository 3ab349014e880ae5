import type { Batch } from "@sluice/schema";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import {
  createStaging,
  type LoadTotals,
  loadBatches,
  prepareDomainTable,
  resolveColumns,
} from "../src/index.ts";
import {
  batchOf,
  feedOf,
  field,
  manifestObject,
  startTestServer,
  streamOf,
  type TestServer,
  textColumns,
} from "./server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
}, 60_000);
afterAll(async () => await server.stop());
beforeEach(async () => await server.admin("DROP DATABASE IF EXISTS forms SYNC"));

const feed = feedOf([field("id", "integer"), field("day", "date"), field("at", "datetime")], {
  source: "forms",
  name: "t",
});
const USUAL = ["2026-02-28", "2026-02-28 01:02:03"];
const RARE = ["02/28/2026", "2/28/2026 1:02:03 AM"];
const BAD = ["2026-02-30", "2026-02-28 01:02:03"];

const rowsOf = (from: number, times: number, cells: readonly string[]): string[][] =>
  Array.from({ length: times }, (_, i) => [String(from + i), ...cells]);

async function load(...batches: readonly Batch[]): Promise<LoadTotals> {
  const { warehouse } = server;
  await prepareDomainTable(warehouse, feed);
  await createStaging(warehouse, { source: "forms", name: "t" }, "w");
  return await loadBatches({
    warehouse,
    feed,
    workflowId: "w",
    object: manifestObject(),
    entry: "",
    rowBase: 0,
    concurrency: 1,
    plan: resolveColumns(feed, textColumns(["id", "day", "at"])),
  })(streamOf(...batches));
}

const batchAt = async (ordinal: number, rows: readonly string[][]): Promise<Batch> =>
  await batchOf(server, rows, { ordinal, firstRow: 1 + ordinal * 10 });

/** Which statements were sent for the workflow's batches, in their order. */
async function sent(): Promise<string[]> {
  await server.admin("SYSTEM FLUSH LOGS");
  const found = await server.rows<{ side: string }>(
    "SELECT extract(query_id, '^w-[0-9a-f]+-([a-z]+)-') AS side FROM system.query_log WHERE type = 'QueryStart' AND side != '' AND has(databases, 'forms') ORDER BY event_time_microseconds",
  );
  return found.map(({ side }) => side);
}

const staged = async (): Promise<unknown> =>
  await server.rows(
    "SELECT toUInt32(id) AS id, toString(day) AS day, toString(at) AS at FROM forms.t__stg_w ORDER BY id",
  );
const all = (count: number): unknown =>
  Array.from({ length: count }, (_, id) => ({
    id,
    day: "2026-02-28",
    at: "2026-02-28 01:02:03.000000",
  }));

test("values in usual forms take one statement, rare ones a second, and a third the rejects", async () => {
  await server.admin("SYSTEM FLUSH LOGS");
  await server.admin("TRUNCATE TABLE system.query_log");
  await load(await batchAt(0, rowsOf(0, 3, USUAL)));
  expect(await sent()).toEqual(["rows"]);
  const mixed = [...rowsOf(3, 2, USUAL), ...rowsOf(5, 1, RARE), ...rowsOf(6, 1, BAD)];
  const totals = await load(await batchAt(0, rowsOf(0, 3, USUAL)), await batchAt(1, mixed));
  expect(totals).toEqual({ batches: 2, rows: 7, rejected: 1 });
  expect((await sent()).slice(2)).toEqual(["rows", "rare", "rejects"]);
  expect(await staged()).toEqual(all(6));
});

test("a file of rare forms sends their statement first, and needs no other", async () => {
  await server.admin("SYSTEM FLUSH LOGS");
  await server.admin("TRUNCATE TABLE system.query_log");
  const batches = [0, 3, 6].map((from, at) => batchAt(at, rowsOf(from, 3, RARE)));
  expect(await load(...(await Promise.all(batches)))).toMatchObject({ rows: 9, rejected: 0 });
  expect(await sent()).toEqual(["rows", "rare", "rare", "rare"]);
  expect(await staged()).toEqual(all(9));
});

test("sending the same batches again in another order of statements adds nothing", async () => {
  const rare = await batchAt(0, rowsOf(0, 3, RARE));
  const mixed = await batchAt(1, [...rowsOf(3, 2, USUAL), ...rowsOf(5, 2, RARE)]);
  // By itself it is tried as usual first; behind a batch of rare forms as rare first.
  await load(mixed);
  await load(rare, mixed);
  expect(await staged()).toEqual(all(7));
});
