import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { castSample, resolveColumns, type SampleOptions } from "../src/index.ts";
import {
  batchOf,
  feedOf,
  field,
  sliceOf,
  startTestServer,
  type TestServer,
  textColumns,
} from "./server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
}, 60_000);
afterAll(async () => await server.stop());

const OPTIONS = {
  key: "in/a.csv",
  entry: "",
  maxRows: 10,
  maxValueBytes: 10,
  signal: new AbortController().signal,
};
const FEED = feedOf([
  field("id", "integer"),
  field("name", "string"),
  field("paid", "decimal"),
  field("day", "date"),
  field("from", "string", { lineage: "file" }),
]);
const NAMES = ["id", "name", "paid", "day"];
const options = (more: Partial<SampleOptions> = {}): SampleOptions => ({
  ...OPTIONS,
  feed: FEED,
  plan: resolveColumns(FEED, textColumns(NAMES)),
  ...more,
});

describe("a sample of a batch", () => {
  test("is cast as a load casts it, with the reason of every refused cell", async () => {
    const batch = await batchOf(server, [
      ["1", "ünïcödé", "12.50", "20/02/2024"],
      ["x", null, "", "2024-02-29"],
      { code: "malformed", raw: "a,b,c" },
      ["", "n", "1e99", ""],
    ]);
    const rows = await castSample(server.warehouse, { kind: "batch", batch }, options());
    expect(rows.map(({ cells }) => cells.map(({ value }) => value))).toEqual([
      // Cut after 10 bytes, with a mark where a character was cut.
      ["1", "ünïcöd\ufffd", "12.5", null, "in/a.csv"],
      [null, null, null, "2024-02-29", "in/a.csv"],
      [],
      [null, "n", null, null, "in/a.csv"],
    ]);
    expect(rows.map(({ cells }) => cells.map(({ code }) => code))).toEqual([
      ["", "", "", "bad_value", ""],
      ["bad_value", "", "", "", ""],
      [],
      ["primary_key_null", "", expect.stringMatching(/bad_value|out_of_range/), "", ""],
    ]);
    expect(rows[0]?.cells[3]?.raw).toBe("20/02/2024");
    expect(rows[0]?.cells[1]?.isCut).toBe(true);
    expect(rows.map(({ reject }) => reject && [reject.stage, reject.code, reject.field])).toEqual([
      ["cast", "bad_value", "day"],
      ["cast", "bad_value", "id"],
      ["parse", "malformed", ""],
      ["cast", "primary_key_null", "id"],
    ]);
    expect(rows.map(({ row, byteOffset }) => [row, byteOffset])).toEqual([
      [1, 10],
      [2, 20],
      [3, 30],
      [4, 40],
    ]);
  });

  test("writes nothing that stays", async () => {
    const batch = await batchOf(server, [["1", "a", "1", "2024-01-01"]]);
    const before = await server.rows("SELECT name FROM system.tables WHERE NOT is_temporary");
    await castSample(server.warehouse, { kind: "batch", batch }, options());
    expect(await server.rows("SELECT name FROM system.tables WHERE NOT is_temporary")).toEqual(
      before,
    );
  });
});

describe("a sample of a slice", () => {
  test.each(["Parquet", "ArrowStream"] as const)(
    "of %s takes the first rows alone",
    async (format) => {
      const slice = await sliceOf(
        server,
        "SELECT number AS id, toString(number) AS name, toDecimal64(number, 3) AS paid, toDate32('2024-01-01') + number AS day FROM numbers(100000)",
        { format },
      );
      const columns = [
        { name: "id", type: "UInt64" },
        { name: "name", type: "String" },
        { name: "paid", type: "Decimal(18, 3)" },
        { name: "day", type: "Date32" },
      ];
      const plan = resolveColumns(FEED, columns);
      const rows = await castSample(server.warehouse, { kind: "slice", slice }, options({ plan }));
      expect(rows).toHaveLength(10);
      expect(rows[1]?.cells.map(({ value }) => value)).toEqual([
        "1",
        "1",
        "1",
        "2024-01-02",
        "in/a.csv",
      ]);
      expect(rows.map(({ row }) => row)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    },
  );
});
