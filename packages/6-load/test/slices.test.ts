import { openParquet } from "@sluice/parse";
import type { Field, FieldType } from "@sluice/schema";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  type Acknowledgement,
  createStaging,
  type LoadTotals,
  loadSlices,
  prepareDomainTable,
  resolveColumns,
} from "../src/index.ts";
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
beforeEach(async () => await server.admin("DROP DATABASE IF EXISTS slices SYNC"));

/** Loads a Parquet file that the server wrote, slice by slice, as ingest does. */
async function loadParquet(
  select: string,
  fields: readonly Field[],
  onAcknowledged: (acknowledged: Acknowledgement) => void = () => undefined,
): Promise<LoadTotals> {
  const file = await server.bytes(`${select} FORMAT Parquet`);
  const parquet = await openParquet({
    size: file.byteLength,
    readRange: (start, end) => streamOf(file.subarray(start, end)),
  });
  const feed = feedOf(fields, { source: "slices", name: "t" });
  await prepareDomainTable(server.warehouse, feed);
  await createStaging(server.warehouse, { source: "slices", name: "t" }, "w");
  return await loadSlices({
    warehouse: server.warehouse,
    feed,
    workflowId: "w",
    object: manifestObject(),
    entry: "",
    rowBase: 0,
    plan: resolveColumns(feed, parquet.columns),
    onAcknowledged,
  })(streamOf(...parquet.slices));
}

describe("slices of a Parquet file", () => {
  const fields = [field("id", "integer"), field("v", "integer"), field("s", "string")];
  const select =
    "SELECT number AS id, if(number % 1000 = 7, 'x', toString(number)) AS v, repeat('ü', number % 5) AS s FROM numbers(30000) SETTINGS output_format_parquet_row_group_size = 10000, output_format_parquet_string_as_string = 1, max_threads = 1, output_format_parquet_parallel_encoding = 0, output_format_parquet_batch_size = 100";

  test("keep each row's number in the file, for good rows and bad", async () => {
    const seen: number[] = [];
    const totals = await loadParquet(select, fields, ({ firstRow }) => void seen.push(firstRow));
    expect(totals).toEqual({ batches: 3, rows: 30_000, rejected: 30 });
    expect(seen).toEqual([1, 10_001, 20_001]);
    expect(
      await server.rows(
        "SELECT toUInt32(count()) AS n, toUInt32(countIf(_row = id + 1 AND v = id)) AS placed FROM slices.t__stg_w",
      ),
    ).toEqual([{ n: 29_970, placed: 29_970 }]);
    expect(
      await server.rows(
        "SELECT toUInt32(count()) AS n, toUInt32(countIf(_row % 1000 = 8 AND value = 'x' AND code = 'bad_value')) AS placed, toUInt32(uniqExact(_offset)) AS groups FROM slices.t__stg_w__rejects",
      ),
    ).toEqual([{ n: 30, placed: 30, groups: 3 }]);
    expect(
      await server.rows(
        "SELECT toUInt32(count()) AS parts FROM system.parts WHERE database = 'slices' AND table = 't__stg_w' AND active",
      ),
    ).toEqual([{ parts: 3 }]);
  });

  test("sent again change nothing", async () => {
    await loadParquet(select, fields);
    await loadParquet(select, fields);
    expect(await server.rows("SELECT toUInt32(count()) AS n FROM slices.t__stg_w")).toEqual([
      { n: 29_970 },
    ]);
    expect(
      await server.rows("SELECT toUInt32(count()) AS n FROM slices.t__stg_w__rejects"),
    ).toEqual([{ n: 30 }]);
  });

  test("of a file with odd column names load under their own", async () => {
    const odd = "a`b'\\ \"c.d";
    const quoted = `\`${odd.replaceAll("\\", "\\\\").replaceAll("`", "\\`")}\``;
    const totals = await loadParquet(
      `SELECT number AS ${quoted}, toString(number) AS v FROM numbers(3)`,
      [field("id", "integer", { incomingName: odd.toUpperCase() }), field("v", "string")],
    );
    expect(totals).toEqual({ batches: 1, rows: 3, rejected: 0 });
    expect(await server.rows("SELECT toUInt8(sum(id)) AS n FROM slices.t__stg_w")).toEqual([
      { n: 3 },
    ]);
  });
});

type Expected = string | null | { readonly code: string };
const bad: Expected = { code: "bad_value" };
const range: Expected = { code: "out_of_range" };

const cells: readonly (readonly [string, string, FieldType | FieldType["kind"], Expected])[] = [
  ["Int8", "-128", "integer", "-128"],
  ["Int64", "-9223372036854775808", "integer", "-9223372036854775808"],
  ["UInt8", "255", "integer", "255"],
  ["UInt64", "9223372036854775807", "integer", "9223372036854775807"],
  ["UInt64", "18446744073709551615", "integer", range],
  ["Float64", "3.0", "integer", "3"],
  ["Float64", "3.5", "integer", bad],
  ["Float64", "1e300", "integer", range],
  ["Float64", "9223372036854775808", "integer", range],
  ["Float64", "nan", "integer", bad],
  ["Float32", "-16777216", "integer", "-16777216"],
  ["Decimal(10, 2)", "7", "integer", "7"],
  ["Decimal(10, 2)", "7.5", "integer", bad],
  ["Decimal(38, 0)", "9223372036854775808", "integer", range],
  ["Bool", "true", "integer", "1"],
  ["String", "'12'", "integer", "12"],
  ["String", "'12.0'", "integer", "12"],
  ["String", "'12.5'", "integer", bad],
  ["Float64", "1e-2", "decimal", "0.01"],
  ["Float64", "1e-7", "decimal", range],
  ["Float64", "1e300", "decimal", range],
  ["FixedString(3)", "unhex('610000')", "string", "a\0\0"],
  ["String", "''", "integer", null],
  ["Int64", "12345678", "decimal", "12345678"],
  ["Int64", "123456789", "decimal", range],
  ["Float64", "0.1", "decimal", "0.1"],
  ["Float64", "0.001", "decimal", range],
  ["Float64", "nan", "decimal", bad],
  ["Decimal(18, 4)", "'1.2300'", "decimal", "1.23"],
  ["Decimal(18, 4)", "'1.2345'", "decimal", range],
  ["Decimal(38, 10)", "'1.5'", "decimal", "1.5"],
  ["Decimal(9, 2)", "'-1234567.89'", "decimal", "-1234567.89"],
  ["Decimal(18, 2)", "'12345678.99'", "decimal", "12345678.99"],
  ["Decimal(18, 2)", "'-99999999.99'", "decimal", "-99999999.99"],
  ["Decimal(18, 2)", "'100000000'", "decimal", range],
  ["Decimal(18, 2)", "'-9999999999999999.99'", "decimal", range],
  ["Decimal(38, 1)", "'99999999.9'", "decimal", "99999999.9"],
  ["Decimal(38, 0)", "'99999999999999999999999999999999999999'", "decimal", range],
  ["Decimal(9, 0)", "'999999999'", { kind: "decimal", precision: 10, scale: 0 }, "999999999"],
  ["Decimal(9, 2)", "'9999999.99'", { kind: "decimal", precision: 38, scale: 20 }, "9999999.99"],
  ["Decimal(18, 2)", "'0.25'", { kind: "decimal", precision: 2, scale: 2 }, "0.25"],
  ["Decimal(18, 2)", "'1'", { kind: "decimal", precision: 2, scale: 2 }, range],
  ["String", "'1.50'", "decimal", "1.5"],
  ["Int32", "5", "float", "5"],
  ["Int64", "9007199254740993", "float", range],
  ["Float32", "0.5", "float", "0.5"],
  ["Float64", "inf", "float", bad],
  ["Decimal(10, 2)", "1.25", "float", "1.25"],
  ["String", "'1e3'", "float", "1000"],
  ["Bool", "false", "boolean", "false"],
  ["Int32", "1", "boolean", "true"],
  ["Int32", "2", "boolean", bad],
  ["String", "'Yes'", "boolean", "true"],
  ["Date32", "'2024-02-29'", "date", "2024-02-29"],
  ["Date32", "'1900-01-01'", "date", "1900-01-01"],
  ["DateTime64(3, 'UTC')", "'2024-02-29 00:00:00'", "date", "2024-02-29"],
  ["DateTime64(3, 'UTC')", "'2024-02-29 00:00:00.001'", "date", bad],
  ["DateTime64(6, 'UTC')", "'1899-12-31 00:00:00'", "date", range],
  ["DateTime64(6, 'UTC')", "'1901-02-03 00:00:00'", "date", "1901-02-03"],
  ["String", "'02/29/2024'", "date", "2024-02-29"],
  ["Date32", "'2024-02-29'", "datetime", "2024-02-29 00:00:00.000000"],
  ["DateTime64(3, 'UTC')", "'2024-02-29 01:02:03.004'", "datetime", "2024-02-29 01:02:03.004000"],
  [
    "DateTime64(6, 'UTC')",
    "'2024-02-29 01:02:03.000004'",
    "datetime",
    "2024-02-29 01:02:03.000004",
  ],
  [
    "DateTime64(9, 'UTC')",
    "'2024-02-29 01:02:03.000004000'",
    "datetime",
    "2024-02-29 01:02:03.000004",
  ],
  ["DateTime64(9, 'UTC')", "'2024-02-29 01:02:03.000000001'", "datetime", range],
  ["DateTime64(3, 'UTC')", "'9999-12-31 23:59:59'", "datetime", "9999-12-31 23:59:59.000000"],
  ["String", "'2024-02-29T01:02:03Z'", "datetime", "2024-02-29 01:02:03.000000"],
  ["String", "'a'", "string", "a"],
  ["String", "''", "string", ""],
  ["FixedString(3)", "'abc'", "string", "abc"],
  ["Int64", "-7", "string", "-7"],
  ["Float64", "0.1", "string", "0.1"],
  ["Bool", "true", "string", "true"],
  ["Decimal(10, 2)", "1.50", "string", "1.5"],
  ["Date32", "'2024-02-29'", "string", "2024-02-29"],
  [
    "UUID",
    "'61f0c404-5cb3-11e7-907b-a6006ad3dba0'",
    "string",
    "61f0c404-5cb3-11e7-907b-a6006ad3dba0",
  ],
];

test("a date that ClickHouse's reader would refuse rejects its row alone", async () => {
  // The column is days in 32 bits, as Parquet stores a date; the reader's Date32 ends with 2299.
  const feed = feedOf([field("id", "integer"), field("d", "date"), field("t", "datetime")], {
    source: "slices",
    name: "t",
  });
  await prepareDomainTable(server.warehouse, feed);
  await createStaging(server.warehouse, { source: "slices", name: "t" }, "w");
  const body = await server.bytes(
    "SELECT toInt64(number) AS id, [19000, 2932896, -200000, -25567, 120529]::Array(Int32)[number + 1] AS d, d AS t FROM numbers(5) FORMAT Parquet",
  );
  const columns = [
    { name: "id", type: "Int64" },
    { name: "d", type: "Nullable(Date32)" },
    { name: "t", type: "Nullable(Date32)" },
  ];
  const totals = await loadSlices({
    warehouse: server.warehouse,
    feed,
    workflowId: "w",
    object: manifestObject(),
    entry: "",
    rowBase: 0,
    plan: resolveColumns(feed, columns),
  })(
    streamOf({
      ordinal: 0,
      firstRow: 1,
      rows: 5,
      format: "Parquet",
      byteLength: body.byteLength,
      byteOffset: 4,
      identity: "days",
      open: () => streamOf(body),
    }),
  );
  expect(totals).toEqual({ batches: 1, rows: 5, rejected: 2 });
  expect(
    await server.rows("SELECT toString(d) AS d, toString(t) AS t FROM slices.t__stg_w ORDER BY d"),
  ).toEqual([
    { d: "1900-01-01", t: "1900-01-01 00:00:00.000000" },
    { d: "2022-01-08", t: "2022-01-08 00:00:00.000000" },
    { d: "2299-12-31", t: "2299-12-31 00:00:00.000000" },
  ]);
  expect(
    await server.rows("SELECT code, value FROM slices.t__stg_w__rejects ORDER BY _row"),
  ).toEqual([
    { code: "out_of_range", value: "2932896" },
    { code: "out_of_range", value: "-200000" },
  ]);
});

test("a typed value becomes the field's type if nothing of it is lost", {
  timeout: 240_000,
}, async () => {
  // One file and one table with a column per cell; a second row of nulls beside it.
  const fields = cells.map(([, , type], at) => field(`v${at}`, type));
  const got: Expected[] = [];
  for (let from = 0; from < cells.length; from++) {
    const [type, value] = cells[from] ?? ["", ""];
    const one = fields[from];
    if (one === undefined) break;
    await server.admin("DROP DATABASE IF EXISTS slices SYNC");
    const totals = await loadParquet(
      `SELECT number AS id, if(number = 0, CAST(${value}, 'Nullable(${type.replaceAll("'", "\\'")})'), NULL) AS v${from} FROM numbers(2) SETTINGS output_format_parquet_string_as_string = 1, output_format_parquet_fixed_string_as_fixed_byte_array = 1`,
      [field("id", "integer"), one],
    );
    const [row] = await server.rows<{ v: string | null }>(
      `SELECT toString(v${from}) AS v FROM slices.t__stg_w WHERE id = 0`,
    );
    const [reject] = await server.rows<{ code: string }>(
      "SELECT code FROM slices.t__stg_w__rejects",
    );
    expect(await server.rows(`SELECT v${from} AS v FROM slices.t__stg_w WHERE id = 1`)).toEqual([
      { v: null },
    ]);
    expect(totals.rows).toBe(2);
    got.push(reject ?? row?.v ?? null);
  }
  expect(cells.map(([type, value, kind], at) => [type, value, kind, got[at]])).toEqual(cells);
});
