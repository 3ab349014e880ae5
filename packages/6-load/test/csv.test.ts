import { batch } from "@sluice/batch";
import { parseDelimited } from "@sluice/parse";
import { createByteBudget } from "@sluice/streams";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createStaging, loadBatches, prepareDomainTable, resolveColumns } from "../src/index.ts";
import {
  feedOf,
  field,
  manifestObject,
  startTestServer,
  streamOf,
  type TestServer,
} from "./server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
}, 60_000);
afterAll(async () => await server.stop());

test("parsed and batched text loads row for row, its faults and bad values as rejects", async () => {
  const lines = Array.from(
    { length: 1000 },
    (_, at) => `"n ""${at}""",ignored,${at},2024-02-${(at % 31) + 1}\n`,
  );
  const text = Buffer.from(`Name,Extra,ID,Day\n${lines.join("")}only,three,fields\n`);
  const feed = feedOf(
    [field("id", "integer"), field("name", "string"), field("day", "date"), field("gone", "float")],
    {
      source: "csv",
    },
  );
  await prepareDomainTable(server.warehouse, feed);
  await createStaging(server.warehouse, { source: "csv", name: "customers" }, "w");
  const parsed = await parseDelimited({
    kind: "delimited",
    delimiter: ",",
    quote: '"',
    escape: '"',
    headerRows: 1,
    skipRows: 0,
    nullText: "",
    encoding: "utf-8",
  })(streamOf(text));
  const plan = resolveColumns(feed, parsed.columns);
  const budget = createByteBudget(1_000_000);
  const totals = await loadBatches({
    warehouse: server.warehouse,
    feed,
    workflowId: "w",
    object: manifestObject(),
    entry: "",
    rowBase: 0,
    plan,
  })(batch({ columns: plan.chosen, budget, maxRows: 300 })(parsed));
  // February 30 and 31 come 32 times each in a thousand days; the last record lacks a field.
  const impossible = lines.filter((_, at) => at % 31 >= 29).length;
  expect(totals).toEqual({ batches: 4, rows: 1001, rejected: impossible + 1 });
  expect(budget.used).toBe(0);
  expect(
    await server.rows(
      "SELECT toUInt32(count()) AS n, toUInt32(countIf(_row = id + 1 AND name = concat('n \"', toString(id), '\"') AND toDayOfMonth(day) = id % 31 + 1 AND gone IS NULL)) AS placed FROM csv.customers__stg_w",
    ),
  ).toEqual([{ n: 1000 - impossible, placed: 1000 - impossible }]);
  expect(
    await server.rows(
      "SELECT stage, code, field, toUInt32(count()) AS n FROM csv.customers__stg_w__rejects GROUP BY stage, code, field ORDER BY stage",
    ),
  ).toEqual([
    { stage: "cast", code: "bad_value", field: "day", n: impossible },
    { stage: "parse", code: "malformed", field: "", n: 1 },
  ]);
});
