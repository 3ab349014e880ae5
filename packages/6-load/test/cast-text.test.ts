import type { FieldType } from "@sluice/schema";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { dropStaging } from "../src/index.ts";
import { feedOf, field, stageRows, startTestServer, type TestServer } from "./server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
}, 60_000);
afterAll(async () => await server.stop());

type Expected = string | null | { readonly code: string };
const bad: Expected = { code: "bad_value" };
const range: Expected = { code: "out_of_range" };

/** Loads one cell per row into a field and returns, per row, the text of the value or its reject code. */
async function castAll(
  type: FieldType | FieldType["kind"],
  values: readonly (string | null)[],
  format?: string,
): Promise<Expected[]> {
  const feed = feedOf(
    [field("id", "integer"), field("v", type, format === undefined ? {} : { format })],
    {
      name: "cells",
      source: "casts",
    },
  );
  await server.admin("DROP DATABASE IF EXISTS casts SYNC");
  await stageRows(
    server,
    feed,
    values.map((value, at) => [String(at), value]),
  );
  const good = await server.rows<{ id: string; v: string | null }>(
    "SELECT toString(id) AS id, toString(v) AS v FROM casts.cells__stg_w",
  );
  const refused = await server.rows<{ row: string; code: string; value: string }>(
    "SELECT toString(_row - 1) AS row, code, value FROM casts.cells__stg_w__rejects WHERE field = 'v'",
  );
  await dropStaging(server.warehouse, { source: "casts", name: "cells" }, "w");
  const found = new Map<string, Expected>([
    ...good.map(({ id, v }): [string, Expected] => [id, v]),
    ...refused.map(({ row, code }): [string, Expected] => [row, { code }]),
  ]);
  return values.map((_, at) => {
    const got = found.get(String(at));
    return got === undefined ? { code: "lost" } : got;
  });
}

const cases: readonly {
  readonly name: string;
  readonly type: FieldType | FieldType["kind"];
  readonly format?: string;
  readonly cells: readonly (readonly [string | null, Expected])[];
}[] = [
  {
    name: "integer",
    type: "integer",
    cells: [
      ["0", "0"],
      ["+5", "5"],
      ["-0", "0"],
      ["007", "7"],
      ["9223372036854775807", "9223372036854775807"],
      ["-9223372036854775808", "-9223372036854775808"],
      ["", null],
      [null, null],
      ["9223372036854775808", range],
      ["-9223372036854775809", range],
      ["18446744073709551617", range],
      ["1.0", "1"],
      ["-5.00", "-5"],
      ["1.0000", "1"],
      ["1.000", bad],
      ["1234.000", bad],
      ["1.000e0", "1"],
      ["1e3", "1000"],
      ["1E+2", "100"],
      ["1.0E10", "10000000000"],
      ["-9E18", "-9000000000000000000"],
      ["1e19", range],
      ["1e400", range],
      ["99999999999999999999.0", range],
      ["1.5", bad],
      ["1.", bad],
      [".0", bad],
      ["1.5e1", bad],
      ["1e-2", bad],
      ["100e-2", bad],
      ["1.0.0", bad],
      ["e3", bad],
      [" 1", bad],
      ["1 ", bad],
      ["1\n", bad],
      ["-", bad],
      ["--1", bad],
      ["0x1A", bad],
      ["1,000", bad],
      ["1\u0000", bad],
      ["٣", bad],
    ],
  },
  {
    name: "decimal(10,2)",
    type: "decimal",
    cells: [
      ["1", "1"],
      ["1.5", "1.5"],
      ["-12345678.90", "-12345678.9"],
      ["+.5", "0.5"],
      ["5.", "5"],
      ["1.2300000", "1.23"],
      ["000000000000000000000000000000000000000000001", "1"],
      ["", null],
      ["1.239", range],
      ["123456789", range],
      ["999999999999999999999999999999999999999999", range],
      ["1e3", bad],
      [".", bad],
      ["1..2", bad],
      ["e5", bad],
      ["-", bad],
      [" 1", bad],
      ["1,5", bad],
      ["nan", bad],
    ],
  },
  {
    name: "decimal(38,0)",
    type: { kind: "decimal", precision: 38, scale: 0 },
    cells: [
      ["99999999999999999999999999999999999999", "99999999999999999999999999999999999999"],
      ["7.00", "7"],
      ["100000000000000000000000000000000000000", range],
      ["7.01", range],
    ],
  },
  {
    name: "decimal(38,38)",
    type: { kind: "decimal", precision: 38, scale: 38 },
    cells: [
      ["0.12345678901234567890123456789012345678", "0.12345678901234567890123456789012345678"],
      ["-.5", "-0.5"],
      ["0", "0"],
      ["1", range],
    ],
  },
  {
    name: "float",
    type: "float",
    cells: [
      ["1", "1"],
      ["-1.5e3", "-1500"],
      ["1E5", "100000"],
      [".5", "0.5"],
      ["0.1", "0.1"],
      ["", null],
      ["1e400", range],
      ["nan", bad],
      ["NaN", bad],
      ["inf", bad],
      ["-Infinity", bad],
      ["1e", bad],
      ["e5", bad],
      ["1 ", bad],
      ["0x1A", bad],
    ],
  },
  {
    name: "boolean",
    type: "boolean",
    cells: [
      ["true", "true"],
      ["T", "true"],
      ["YES", "true"],
      ["y", "true"],
      ["1", "true"],
      ["False", "false"],
      ["f", "false"],
      ["no", "false"],
      ["N", "false"],
      ["0", "false"],
      ["", null],
      [null, null],
      ["2", bad],
      ["on", bad],
      [" true", bad],
    ],
  },
  {
    name: "string",
    type: "string",
    cells: [
      ["", ""],
      [null, null],
      [" a\u0000\n'\\ü😀 ", " a\u0000\n'\\ü😀 "],
    ],
  },
  {
    name: "date",
    type: "date",
    cells: [
      ["2024-02-29", "2024-02-29"],
      ["1900-01-01", "1900-01-01"],
      ["2299-12-31", "2299-12-31"],
      ["2024-2-9", "2024-02-09"],
      ["20240229", "2024-02-29"],
      ["2024/02/29", "2024-02-29"],
      ["02/29/2024", "2024-02-29"],
      ["2/9/2024", "2024-02-09"],
      ["02/29/24", "2024-02-29"],
      ["01/01/69", "2069-01-01"],
      ["01/01/70", "1970-01-01"],
      ["29-Feb-2024", "2024-02-29"],
      ["29-FEB-24", "2024-02-29"],
      ["9 mar 2024", "2024-03-09"],
      ["29Dec2024", "2024-12-29"],
      ["", null],
      ["1899-12-31", range],
      ["2300-01-01", range],
      ["1800-02-28", range],
      ["12/31/9999", range],
      ["2024-02-30", bad],
      ["2023-02-29", bad],
      ["1900-02-29", bad],
      ["1800-02-30", bad],
      ["2024-13-01", bad],
      ["2024-00-10", bad],
      ["2024-01-00", bad],
      ["13/13/2024", bad],
      ["2024-01-05x", bad],
      [" 2024-01-05", bad],
      ["2024-0105", bad],
      ["2024-01-05 10:11:12", bad],
      ["29-Foo-2024", bad],
      ["1970", bad],
    ],
  },
  {
    name: "date of the form dd.MM.yyyy",
    type: "date",
    format: "dd.MM.yyyy",
    cells: [
      ["29.02.2024", "2024-02-29"],
      ["9.2.2024", "2024-02-09"],
      ["30.02.2024", bad],
      ["29x02.2024", bad],
      ["2024-02-29", bad],
      ["01.01.1800", range],
    ],
  },
  {
    name: "date of the form yyyyMMdd",
    type: "date",
    format: "yyyyMMdd",
    cells: [
      ["20240229", "2024-02-29"],
      ["2024229", bad],
    ],
  },
  {
    name: "datetime",
    type: "datetime",
    cells: [
      ["2024-01-05 10:11:12", "2024-01-05 10:11:12.000000"],
      ["2024-01-05 10:11:12.123", "2024-01-05 10:11:12.123000"],
      ["2024-01-05T10:11:12.123456", "2024-01-05 10:11:12.123456"],
      ["2024-01-05T10:11:12Z", "2024-01-05 10:11:12.000000"],
      ["2024-01-05T10:11:12+02:00", "2024-01-05 08:11:12.000000"],
      ["2024-01-05T10:11:12.5-0530", "2024-01-05 15:41:12.500000"],
      ["2024-01-05 10:11:12.123 UTC", "2024-01-05 10:11:12.123000"],
      ["2024-01-05 10:11:12.123 PST", "2024-01-05 18:11:12.123000"],
      ["2024-01-05 10:11", "2024-01-05 10:11:00.000000"],
      ["2024-01-05 10", "2024-01-05 10:00:00.000000"],
      ["2024-01-05", "2024-01-05 00:00:00.000000"],
      ["1/5/2024 1:02 PM", "2024-01-05 13:02:00.000000"],
      ["01/05/2024 12:02:03 am", "2024-01-05 00:02:03.000000"],
      ["01/05/24 12:02PM", "2024-01-05 12:02:00.000000"],
      ["20240105 101112", "2024-01-05 10:11:12.000000"],
      ["20240105T101112Z", "2024-01-05 10:11:12.000000"],
      ["20240105101112", "2024-01-05 10:11:12.000000"],
      ["05-Jan-2024 10:11:12", "2024-01-05 10:11:12.000000"],
      ["2024-01-05 10:11:12.123456000", "2024-01-05 10:11:12.123456"],
      ["1969-12-31 23:59:59.5", "1969-12-31 23:59:59.500000"],
      ["9999-12-31 23:59:59", "9999-12-31 23:59:59.000000"],
      ["", null],
      ["2024-01-05 10:11:12.1234567", range],
      ["2024-02-30 10:11:12", bad],
      ["2024-01-05 25:11:12", bad],
      ["2024-01-05 24:00:00", bad],
      ["2024-01-05 10:60:12", bad],
      ["2024-01-05 10:11:60", bad],
      ["2024-01-05 13:02 PM", bad],
      ["2024-01-05 10:11:12 XYZ", bad],
      ["2024-01-05 10:11:12+19:00", bad],
      ["2024-01-05 10:11:12 ", bad],
      ["2024-01-05 10:11:12.", bad],
      ["2024-01-05 10:11:12.1234567890", bad],
      ["1970", bad],
      ["1704449472", bad],
      ["now", bad],
    ],
  },
  {
    name: "datetime of the form dd/MM/yyyy HH:mm:ss.SSS",
    type: "datetime",
    format: "dd/MM/yyyy HH:mm:ss.SSS",
    cells: [
      ["05/01/2024 10:11:12.1", "2024-01-05 10:11:12.100000"],
      ["05/01/2024 10:11:12.123", "2024-01-05 10:11:12.123000"],
      ["31/12/2024 10:11:12.1234", bad],
      ["12/31/2024 10:11:12.1", bad],
    ],
  },
  {
    name: "datetime of the form yyyy-MM-dd'T'HH:mm:ssZ",
    type: "datetime",
    format: "yyyy-MM-dd'T'HH:mm:ssZ",
    cells: [
      ["2024-01-05T10:11:12+0200", "2024-01-05 08:11:12.000000"],
      ["2024-01-05T10:11:12-01:00", "2024-01-05 11:11:12.000000"],
      ["2024-01-05T10:11:12", bad],
    ],
  },
];

describe("text becomes", () => {
  test.each(cases)("$name", { timeout: 60_000 }, async ({ type, format, cells }) => {
    const got = await castAll(
      type,
      cells.map(([text]) => text),
      format,
    );
    expect(cells.map(([text], at) => [text, got[at]])).toEqual(cells);
  });
});
