import { chunked } from "@sluice/streams/testing";
import { describe, expect, test } from "vitest";
import { parseAvro } from "../src/index.ts";
import { container, encode, type Json, logical, one, record, wanted } from "./avro-file.ts";

describe("parseAvro reads values as exact text under exact types", () => {
  const min = -(2n ** 63n);
  const bytes = (...all: number[]): Buffer => Buffer.from(all);
  const fixed = (size: number, more: object = {}): Json => ({
    type: "fixed",
    name: "F",
    size,
    ...more,
  });
  test.each<[name: string, type: Json, value: unknown, column: string, cell: string]>([
    ["int", "int", -(2 ** 31), "Int32", "-2147483648"],
    ["long", "long", min, "Int64", "-9223372036854775808"],
    ["long", "long", 2n ** 63n - 1n, "Int64", "9223372036854775807"],
    ["long", "long", 9007199254740993n, "Int64", "9007199254740993"],
    ["long", "long", -9007199254740992n, "Int64", "-9007199254740992"],
    ["long", "long", 100000000n, "Int64", "100000000"],
    ["float", "float", 0.5, "Float32", "0.5"],
    ["float", "float", Math.fround(0.1), "Float32", "0.10000000149011612"],
    ["double", "double", 0.1, "Float64", "0.1"],
    ["double", "double", -12.34, "Float64", "-12.34"],
    ["double", "double", -0, "Float64", "-0"],
    ["double", "double", 5e-324, "Float64", "5e-324"],
    ["double", "double", 1.7976931348623157e308, "Float64", "1.7976931348623157e+308"],
    ["double", "double", Number.NaN, "Float64", "nan"],
    ["double", "double", Number.NEGATIVE_INFINITY, "Float64", "-inf"],
    ["boolean", "boolean", true, "Bool", "true"],
    ["string", "string", 'é"\u0000𝄞', "String", 'é"\u0000𝄞'],
    ["bytes", "bytes", Buffer.from("raw"), "String", "raw"],
    ["fixed", fixed(3), Buffer.from("abc"), "String", "abc"],
    ["enum", { type: "enum", name: "E", symbols: ["A", "B"] }, "B", "String", "B"],
    ["date", logical("int", "date"), -719162, "Date32", "-719162"],
    ["time-millis", logical("int", "time-millis"), 86_399_999, "String", "23:59:59.999"],
    ["time-micros", logical("long", "time-micros"), 1n, "String", "00:00:00.000001"],
    ["a time beyond the day", logical("int", "time-millis"), 90_000_000, "String", "25:00:00.000"],
    ["a time before the day", logical("int", "time-millis"), -1, "String", "-00:00:00.001"],
    ["timestamp-millis", logical("long", "timestamp-millis"), -1n, "DateTime64(3, 'UTC')", "-1"],
    ["timestamp-micros", logical("long", "timestamp-micros"), 17n, "DateTime64(6, 'UTC')", "17"],
    ["timestamp-nanos", logical("long", "timestamp-nanos"), min, "DateTime64(9, 'UTC')", `${min}`],
    ["local", logical("long", "local-timestamp-millis"), 5n, "DateTime64(3, 'UTC')", "5"],
    ["local", logical("long", "local-timestamp-micros"), 5n, "DateTime64(6, 'UTC')", "5"],
    ["local", logical("long", "local-timestamp-nanos"), 5n, "DateTime64(9, 'UTC')", "5"],
    ["uuid text", logical("string", "uuid"), "0-1", "UUID", "0-1"],
    [
      "uuid bytes",
      fixed(16, { logicalType: "uuid" }),
      Buffer.from("000102030405060708090a0b0c0d0e0f", "hex"),
      "UUID",
      "00010203-0405-0607-0809-0a0b0c0d0e0f",
    ],
    [
      "duration",
      fixed(12, { logicalType: "duration" }),
      bytes(1, 0, 0, 0, 2, 0, 0, 0, 0xff, 0xff, 0xff, 0xff),
      "String",
      "P1M2DT4294967.295S",
    ],
    ["a logical type of another's", logical("string", "date"), "x", "String", "x"],
    ["an unknown logical type", logical("int", "__proto__"), 3, "Int32", "3"],
  ])("%s as %j", async (_, type, value, column, cell) => {
    const table = await one({ v: [type, value], n: ["null", null] });
    expect(table.types).toEqual([`Nullable(${column})`, "Nullable(String)"]);
    expect(table.rows).toEqual([[cell, null]]);
    // The same within a union with null, on either side of it.
    const name = typeof type === "object" ? ((type as { name?: string }).name ?? "") : "";
    const branch =
      name || (typeof type === "string" ? type : String((type as { type: Json }).type));
    for (const union of [
      ["null", type],
      [type, "null"],
    ]) {
      const nullable = await one({ v: [union as Json, { [branch]: value }] });
      expect(nullable.types).toEqual([`Nullable(${column})`]);
      expect(nullable.rows).toEqual([[cell]]);
    }
  });

  test.each<[unscaled: string, precision: number, scale: number, cell: string, column?: string]>([
    ["04d2", 10, 2, "12.34"],
    ["fb2e", 10, 2, "-12.34"],
    ["05", 3, 3, "0.005"],
    ["00", 5, 2, "0.00"],
    ["", 5, 2, "0.00"],
    ["ff", 5, 2, "-0.01"],
    ["ffffffffffffffff80", 5, 0, "-128"],
    ["0000000000000000007f", 5, 0, "127"],
    ["80000000000000", 38, 0, "-36028797018963968"],
    ["7fffffffffff", 38, 3, "140737488355.327"],
    [(10n ** 76n - 1n).toString(16), 76, 1, `${"9".repeat(75)}.9`],
    [(10n ** 77n - 1n).toString(16).padStart(66, "0"), 77, 0, "9".repeat(77), "String"],
  ])("the decimal %s of (%i, %i)", async (unscaled, precision, scale, cell, column) => {
    const type = logical("bytes", "decimal", { precision, scale });
    const table = await one({ v: [type, Buffer.from(unscaled, "hex")] });
    expect(table.types).toEqual([`Nullable(${column ?? `Decimal(${precision}, ${scale})`})`]);
    expect(table.rows).toEqual([[cell]]);
  });

  test("a decimal in fixed bytes, and one whose precision makes no sense as its bytes", async () => {
    const type = {
      type: "fixed",
      name: "D",
      size: 4,
      logicalType: "decimal",
      precision: 9,
      scale: 1,
    };
    expect((await one({ v: [type, Buffer.from("ffffff85", "hex")] })).rows).toEqual([["-12.3"]]);
    const table = await one({
      v: [logical("bytes", "decimal", { precision: 1, scale: 2 }), Buffer.from("A")],
    });
    expect(table.types).toEqual(["Nullable(String)"]);
    expect(table.rows).toEqual([["A"]]);
  });

  test("bytes that are no UTF-8, as they are", async () => {
    const schema = record({ b: "bytes" });
    const { bytes: whole } = container(schema, encode(schema, [{ b: bytes(0xff, 0x00, 0xc3) }]));
    const [block] = await Array.fromAsync((await parseAvro(wanted("b"))(chunked(whole, 9))).blocks);
    expect([...(block?.columns[0]?.data ?? [])]).toEqual([0xff, 0x00, 0xc3]);
  });
});
