import { afterAll, beforeAll, expect, test } from "vitest";
import { feedOf, field, stageRows, startTestServer, type TestServer } from "./server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
}, 60_000);
afterAll(async () => await server.stop());

test("a feed of 210 fields of every type loads, its rejects too", async () => {
  const kinds = ["integer", "date", "datetime", "decimal", "float", "boolean", "string"] as const;
  const texts = ["7", "02/29/2024", "1/5/2024 1:02 PM", "1.5", "0.5", "yes", "x"];
  const fields = Array.from({ length: 210 }, (_, n) => field(`f${n}`, kinds[n % 7] ?? "string"));
  const feed = feedOf(fields, { source: "wide", name: "t" });
  const good = fields.map((_, n) => texts[n % 7] ?? null);
  const bad = [...good.slice(0, 205), "1/5/1024 1:02 PM x", ...good.slice(206)];
  const totals = await stageRows(server, feed, [good, bad]);
  expect(totals).toEqual({ batches: 1, rows: 2, rejected: 1 });
  expect(
    await server.rows(
      "SELECT toString(f205) AS t, toString(f1) AS first, toString(f205 = f2 AND f205 = f9 AND f1 = f197) AS same FROM wide.t__stg_w",
    ),
  ).toEqual([{ t: "2024-01-05 13:02:00.000000", first: "2024-02-29", same: "1" }]);
  expect(
    await server.rows(
      "SELECT field, code, JSONLength(record) AS members FROM wide.t__stg_w__rejects",
    ),
  ).toMatchObject([{ field: "f205", code: "bad_value" }]);
}, 180_000);
