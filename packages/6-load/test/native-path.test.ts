import { readFileSync } from "node:fs";
import { openParquet } from "@sluice/parse";
import { parseFieldPath } from "@sluice/schema";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { carried, carriedType } from "../src/cast/carried-value.ts";
import { JSON_TEXT_SETTINGS, nativePath } from "../src/cast/native-path.ts";
import { readType } from "../src/cast/source-type.ts";
import { quoteIdentifier, quoteText } from "../src/quoting.ts";
import { startTestServer, streamOf, type TestServer } from "./server.ts";

const files = new URL("../../4-parse/test/parquet-files/", import.meta.url);

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
}, 60_000);
afterAll(async () => await server.stop());

const settings = Object.entries(JSON_TEXT_SETTINGS).map(([name, value]) => `${name} = ${value}`);

/** The part of a column as ClickHouse has it for each row of a file, by one of the routes. */
async function read(
  name: string,
  path: string,
  route: "slices" | "arrow",
): Promise<{ type: string; values: (string | null)[] }> {
  const bytes = readFileSync(new URL(`${name}.parquet`, files));
  const file = await openParquet({
    size: bytes.length,
    readRange: (start, end) => streamOf(bytes.subarray(start, end)),
    route,
  });
  const [column, ...rest] = parseFieldPath(path);
  const source = file.columns.find((each) => each.name === column);
  if (source === undefined) throw new Error(`no column ${column}`);
  const found = nativePath(source.type, rest);
  if (found === undefined) throw new Error(`no part ${path} of ${source.type}`);
  const asked = `${quoteIdentifier(source.name)} ${readType(source.type)}`;
  await server.admin(
    "CREATE TABLE IF NOT EXISTS parts (type String, value Nullable(String)) ENGINE = Memory",
  );
  await server.admin("TRUNCATE TABLE parts");
  const { url, users } = server.server;
  for await (const unit of file.units()) {
    const sql = found.sql("c0");
    const from = `SELECT ${carried(quoteIdentifier(source.name), source.type)} AS c0 FROM input(${quoteText(asked)})`;
    const query = `INSERT INTO parts SELECT toTypeName(${sql}), toString(${sql}) FROM (${from}) SETTINGS ${settings.join(", ")}, output_format_decimal_trailing_zeros = 0, short_circuit_function_evaluation = 'disable' FORMAT ${unit.format}`;
    const answer = await fetch(`${url}/?query=${encodeURIComponent(query)}`, {
      method: "POST",
      body: Buffer.concat(await Array.fromAsync(unit.open())),
      headers: { "X-ClickHouse-User": users.admin.name, "X-ClickHouse-Key": users.admin.password },
    });
    if (!answer.ok) throw new Error(await answer.text());
  }
  const rows = await server.rows<{ type: string; value: string | null }>(
    "SELECT type, value FROM parts",
  );
  // Days stand for dates.
  const given = carriedType(found.type);
  expect(new Set(rows.map(({ type }) => type))).toEqual(new Set([given]));
  return { type: found.type, values: rows.map(({ value }) => value) };
}

type Expected = readonly (string | null)[];
const parts: readonly (readonly [string, string, string, Expected])[] = [
  ["nested-struct", "s.a", "Nullable(Int64)", ["1", null, null, "-9007199254740993"]],
  ["nested-struct", "s.BIG", "Nullable(UInt64)", ["18446744073709551615", "1", null, null]],
  ["nested-case", "s.name", "Nullable(String)", ["a"]],
  ["nested-case", "s.Name", "Nullable(String)", ["A"]],
  ["nested-dotted", 's."a.b"', "Nullable(Int64)", ["1"]],
  ["nested-dotted", 's."c d`\'\\"\\\\"', "Nullable(String)", ["q"]],
  ["nested-list", "l[0]", "Nullable(Int64)", ["1", null, null, "3", null]],
  ["nested-list", "l[2]", "Nullable(Int64)", [null, null, null, null, null]],
  ["nested-list", "t[1]", "Nullable(String)", ['ü"', null, null, null, null]],
  ["nested-list", "l[9007199254740990]", "Nullable(Int64)", [null, null, null, null, null]],
  ["list-required-leaf", "s[0]", "Nullable(Int64)", ["1", null, null]],
  ["list-required-struct", "s[0].a", "Nullable(Int64)", ["1", null, null]],
  ["nested-list-of-struct", "l[0].b", "Nullable(String)", ["x", null, null, null, "z"]],
  ["nested-list-of-struct", "l[2].big", "Nullable(UInt64)", [null, null, null, null, "0"]],
  ["nested-list-of-list", "l[0][1]", "Nullable(Int32)", ["2", null, null, null]],
  // K by its own name, and the one of its only spelling.
  ["nested-map", "m.K", "Nullable(Int64)", ["2", null, null, null]],
  ["nested-map", "m.k", "Nullable(Int64)", ["1", null, null, null]],
  ["nested-map", 'm."Ü\\""', "Nullable(Int64)", [null, null, null, null]],
  ["nested-map-of-struct", "m.K.big", "Nullable(UInt64)", ["5", null, null]],
  ["nested-map-of-list", "m.k[1]", "Nullable(Int64)", ["2", null, null]],
  ["nested-map-of-list", "m.n[0]", "Nullable(Int64)", [null, null, null]],
  ["nested-map-int-key", 'm."1"', "Nullable(String)", ["a", null, null]],
  ["map-date-key", 'm."2020-01-01"', "Nullable(Int64)", ["1", null]],
  ["map-bool-key", "m.TRUE", "Nullable(Int64)", ["1", null]],
  ["nested-struct-of-all", "s.m.a", "Nullable(Decimal(10, 2))", ["1.1", null, null]],
  ["nested-struct-of-all", "s.t.d", "Nullable(Date32)", ["18263", null, null]],
  [
    "nested-struct-of-all",
    "s.t.ts",
    "Nullable(DateTime64(6, 'UTC'))",
    ["2020-01-02 03:04:05.678901", null, null],
  ],
  ["time-list", "d[0]", "Nullable(Date32)", ["-719162"]],
  // Nested parts come as JSON text, numbers with all of their digits.
  [
    "nested-struct",
    "s",
    "Nullable(String)",
    [
      '{"a":1,"b":"x","big":18446744073709551615}',
      '{"a":null,"b":"y","big":1}',
      '{"a":null,"b":null,"big":null}',
      '{"a":-9007199254740993,"b":null,"big":null}',
    ],
  ],
  ["nested-list", "l", "Nullable(String)", ["[1,2,null]", "[]", "[]", "[3]", "[null]"]],
  ["nested-list-of-list", "l[0]", "Nullable(String)", ["[1,2]", null, null, "[null]"]],
  ["nested-map", "m", "Nullable(String)", ['{"k":1,"K":2}', "{}", "{}", '{"ü\\"":null}']],
  ["map-date-key", "m", "Nullable(String)", ['{"2020-01-01":1}', "{}"]],
  ["nested-map-of-struct", "m.k", "Nullable(String)", ['{"a":1,"b":"x","big":5}', null, null]],
  [
    "nested-struct-of-all",
    "s",
    "Nullable(String)",
    [
      '{"l":[1,2],"m":{"a":1.1},"t":{"d":"2020-01-02","ts":"2020-01-02 03:04:05.678901","u":true}}',
      '{"l":[],"m":{},"t":{"d":null,"ts":null,"u":null}}',
      '{"l":[],"m":{},"t":{"d":null,"ts":null,"u":null}}',
    ],
  ],
  ["time-list", "d", "Nullable(String)", ['["0001-01-01",null]']],
  ["decimal-list", "s", "Nullable(String)", ["[1,null]"]],
  ["f16-list", "s", "Nullable(String)", ["[1.5,null]"]],
];

describe("a part of a nested Parquet column", () => {
  test.each(parts)(
    "of %s at %s has the type %s and is null where a row has none",
    async (name, path, type, values) => {
      expect(await read(name, path, "slices")).toEqual({ type, values });
    },
  );

  test.each(parts.filter(([, path]) => /^(l|m|s)(\[0\])?$/.test(path)))(
    "of %s at %s is the same when it comes as Arrow",
    async (name, path, type, values) => {
      expect(await read(name, path, "arrow")).toEqual({ type, values });
    },
  );

  test.each([
    ["Nullable(Int64)", "a"],
    ["Nullable(String)", "[0]"],
    ["Tuple(`a` Nullable(Int64))", "b"],
    ["Tuple(`a` Nullable(Int64))", "[0]"],
    ["Array(Nullable(Int64))", "a"],
    ["Map(String, Nullable(Int64))", "[0]"],
    ["Array(Nullable(Int64))", "[0].a"],
  ])("of %s is not there at %s", (type, path) => {
    expect(nativePath(type, parseFieldPath(path))).toBeUndefined();
  });

  test("is asked for with days where it has dates, and names are left alone", () => {
    expect(readType("Tuple(`Date32` Nullable(Date32), b Map(Date32, Array(Date32)))")).toBe(
      "Tuple(`Date32` Nullable(Int32), b Map(Int32, Array(Int32)))",
    );
  });

  test("has NaN and the infinities as texts, since JSON has no numbers for them", async () => {
    const found = nativePath("Array(Nullable(Float64))", []);
    const rows = await server.rows<{ text: string }>(
      `SELECT ${found?.sql("c0")} AS text FROM (SELECT [nan, inf, -inf, 0.1, NULL] AS c0) SETTINGS ${settings.join(", ")}`,
    );
    expect(rows).toEqual([{ text: '["nan","inf","-inf",0.1,null]' }]);
  });

  test("of a map with a key given twice is the last one's", async () => {
    const found = nativePath("Map(String, Nullable(Int64))", ["k"]);
    const rows = await server.rows<{ n: string | null }>(
      `SELECT toString(${found?.sql("c0")}) AS n FROM (SELECT CAST([('k', 1), ('K', 3), ('k', 2)], 'Map(String, Nullable(Int64))') AS c0)`,
    );
    expect(rows).toEqual([{ n: "2" }]);
  });

  test.each([
    "Tuple(a Int64",
    "Array()",
    "Map(Int64)",
    "Tuple(`a Int64)",
    "DateTime64(6, 'UTC",
    "",
  ])("of what is no type, %s, is refused as a mistake of the program", (type) => {
    expect(() => nativePath(type, [])).toThrow(SyntaxError);
  });
});
