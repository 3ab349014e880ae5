import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createStaging, loadSlices, prepareDomainTable, resolveColumns } from "../src/index.ts";
import {
  feedOf,
  field,
  manifestObject,
  sliceOf,
  startTestServer,
  streamOf,
  type TestServer,
} from "./server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
}, 60_000);
afterAll(async () => await server.stop());
beforeEach(async () => await server.admin("DROP DATABASE IF EXISTS slices SYNC"));

describe("nested columns", () => {
  const select = `SELECT number AS id,
    CAST(([1, 9007199254740993], (toDate32('2024-02-29'), 'ü', [nan])), 'Tuple(list Array(Int64), In Tuple(day Date32, \`a.b\` String, f Array(Float64)))') AS tree,
    map('k', 7, 'K', 8)::Map(String, Int64) AS pairs
    FROM numbers(1)`;
  const columns = [
    { name: "id", type: "UInt64" },
    {
      name: "tree",
      type: "Tuple(list Array(Int64), In Tuple(day Date32, `a.b` String, f Array(Float64)))",
    },
    { name: "pairs", type: "Map(String, Int64)" },
  ];

  test.each(["Parquet", "ArrowStream"] as const)(
    "of %s give their parts to fields with paths, and JSON text to strings",
    async (format) => {
      const fields = [
        field("id", "integer"),
        field("day", "date", { path: "tree.in.day" }),
        field("second", "integer", { path: "tree.list[1]" }),
        field("third", "integer", { path: "tree.list[2]" }),
        field("dotted", "string", { path: 'Tree.In."a.b"' }),
        field("pair", "decimal", { path: "pairs.k" }),
        field("inner", "string", { path: "tree.In" }),
        field("tree", "string"),
        field("list", "string", { incomingName: "nothing", path: "tree.list" }),
      ];
      const feed = feedOf(fields, { source: "slices", name: "t" });
      await prepareDomainTable(server.warehouse, feed);
      await createStaging(server.warehouse, { source: "slices", name: "t" }, "w");
      const plan = resolveColumns(feed, columns);
      expect(plan.chosen).toEqual([0, 1, 2]);
      expect(plan.warnings).toEqual([]);
      const totals = await loadSlices({
        warehouse: server.warehouse,
        feed,
        workflowId: "w",
        object: manifestObject(),
        entry: "",
        rowBase: 0,
        plan,
      })(streamOf(await sliceOf(server, select, { format })));
      expect(totals).toEqual({ batches: 1, rows: 1, rejected: 0 });
      const inner = '{"day":"2024-02-29","a.b":"ü","f":["nan"]}';
      expect(
        await server.rows(
          "SELECT toString(day) AS day, toString(second) AS second, third, dotted, toString(pair) AS pair, inner, tree, list FROM slices.t__stg_w",
        ),
      ).toEqual([
        {
          day: "2024-02-29",
          second: "9007199254740993",
          third: null,
          dotted: "ü",
          pair: "7",
          inner,
          tree: `{"list":[1,9007199254740993],"In":${inner}}`,
          list: "[1,9007199254740993]",
        },
      ]);
    },
  );
});
