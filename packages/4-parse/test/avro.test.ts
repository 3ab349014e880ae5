import type { Block, WantedField } from "@sluice/schema";
import { chunked, probe, stageContract } from "@sluice/streams/testing";
import { describe, expect, test } from "vitest";
import { parseAvro } from "../src/index.ts";
import {
  type AvroTable,
  CODECS,
  container,
  encode,
  type Json,
  long,
  readAvro,
  record,
  text,
  wanted,
} from "./avro-file.ts";

const ORDERS: Json = record({ id: "long", name: "string", note: ["null", "string"] });
const orders = Array.from({ length: 60 }, (_, i) => ({
  id: BigInt(i) * 1_000_003n,
  name: `é${i}`,
  note: i % 3 === 0 ? null : { string: `note ${i}` },
}));
const file = container(ORDERS, encode(ORDERS, orders, 25), "deflate");

for (const codec of CODECS) {
  const sample = container(ORDERS, encode(ORDERS, orders, 25), codec).bytes;
  stageContract<Block>({
    name: `parseAvro of codec ${codec}`,
    stage: async function* (source) {
      const parse = parseAvro(wanted("id", "name", "note"), { maxBlockRows: 7 });
      yield* (await parse(source)).blocks;
    },
    sample,
    collect: (blocks) => blocks,
    empty: { code: "malformed" },
    limited: {
      stage: async function* (source) {
        yield* (await parseAvro([], { maxCompressedBlockBytes: 100 })(source)).blocks;
      },
      code: "record_too_large",
    },
  });
}

/** One record of the fields, each with a value as avsc takes it. */
async function one(
  fields: Readonly<Record<string, readonly [type: Json, value: unknown]>>,
  wants: readonly WantedField[] = wanted(...Object.keys(fields)),
): Promise<AvroTable> {
  const types = Object.entries(fields).map(([name, [type]]) => [name, type] as const);
  const schema = record(Object.fromEntries(types));
  const values = Object.entries(fields).map(([name, [, value]]) => [name, value] as const);
  return await readAvro(
    container(schema, encode(schema, [Object.fromEntries(values)])).bytes,
    wants,
  );
}

const logical = (type: string, logicalType: string, more: object = {}): Json => ({
  type,
  logicalType,
  ...more,
});

describe("parseAvro gives columns", () => {
  test("for wanted fields that the schema has, in their order, and names the others once", async () => {
    const table = await readAvro(file.bytes, wanted("NOTE", "missing", "id", "Note"));
    expect(table.names).toEqual(["note", "id"]);
    expect(table.extra).toEqual(["name"]);
    expect(table.rows[1]).toEqual(["note 1", "1000003"]);
  });

  test("by the name as it is before one that differs by case, and by alias after both", async () => {
    const schema = {
      type: "record",
      name: "R",
      fields: [
        { name: "A", type: "int", aliases: ["b"] },
        { name: "a", type: "int", aliases: ["Old"] },
        { name: "b", type: "int" },
      ],
    };
    const { bytes } = container(schema, encode(schema, [{ A: 1, a: 2, b: 3 }]));
    const table = await readAvro(bytes, wanted("a", "A", "B", "old"));
    expect(table.names).toEqual(["a", "A", "b", "Old"]);
    expect(table.rows).toEqual([["2", "1", "3", "2"]]);
    expect(table.extra).toEqual([]);
  });

  test("reading no more than the header for them, and closing the source when no block is read", async () => {
    const source = probe(chunked(file.bytes, 16));
    const parsed = await parseAvro(wanted("id"))(source);
    expect(source.pulled).toBeLessThanOrEqual(Math.ceil((file.borders[0] ?? 0) / 16) * 2);
    await parsed.blocks[Symbol.asyncIterator]().return?.();
    expect(source.closed).toBe(true);
  });

  test("and rows even when no field is wanted", async () => {
    const table = await readAvro(file.bytes, []);
    expect(table.rows).toHaveLength(60);
    expect(table.extra).toEqual(["id", "name", "note"]);
  });

  test("of which `value` is the one of a file whose values are no records", async () => {
    const write = (schema: Json, values: unknown[]): Uint8Array =>
      container(schema, encode(schema, values)).bytes;
    const value = wanted("value");
    const longs = await readAvro(write("long", [1n, -(2n ** 63n)]), value);
    expect(longs.types).toEqual(["Nullable(Int64)"]);
    expect(longs.rows).toEqual([["1"], ["-9223372036854775808"]]);
    const nulls = await readAvro(write(["null", "int"], [null, { int: 4 }, null]), value);
    expect(nulls.rows).toEqual([[null], ["4"], [null]]);
    expect((await readAvro(write("null", [null, null]), value)).rows).toEqual([[null], [null]]);
    const list = write({ type: "array", items: "int" }, [[1, 2]]);
    expect((await readAvro(list, value)).rows).toEqual([["[1,2]"]]);
    const item = [{ incomingName: "second", path: "value[1]" }];
    expect((await readAvro(list, item)).rows).toEqual([["2"]]);
  });

  test("of records that may be null, whose cells are then all null", async () => {
    const schema: Json = ["null", record({ a: "int", b: "string" })];
    const { bytes } = container(schema, encode(schema, [null, { R: { a: 1, b: "x" } }]));
    const table = await readAvro(bytes, wanted("a", "b"));
    expect(table.rows).toEqual([
      [null, null],
      ["1", "x"],
    ]);
  });

  test("under any name, `__proto__` and those that are no Avro names among them", async () => {
    const field = (name: string, type: Json, more = {}): object => ({ name, type, ...more });
    const union: Json = ["null", "my-ns.R-2", { type: "enum", name: "E", symbols: ["a b"] }];
    const all = {
      type: "record",
      name: "toString",
      namespace: "my-app.v1",
      fields: [
        field("__proto__", "int", { default: "none that an int can have" }),
        field("constructor", "string"),
        field("a-b.c", "int"),
        field("é", "int"),
        field("inner", record({ "9": "int" }, "my-ns.R-2")),
        field("again", union),
      ],
    };
    const data = [long(7), text("c"), long(1), long(2), long(5), long(2), long(0)];
    const { bytes } = container(all, [{ count: 1, data: Buffer.concat(data) }]);
    const names = ["__proto__", "constructor", "a-b.c", "é", "inner", "again"];
    const table = await readAvro(bytes, wanted(...names));
    expect(table.names).toEqual(names);
    expect(table.rows).toEqual([["7", "c", "1", "2", '{"9":5}', '"a b"']]);
    expect(({} as { x?: unknown }).x).toBeUndefined();
    expect(Object.getPrototypeOf({})).toBe(Object.prototype);
  });
});

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

describe("parseAvro finds values by path", () => {
  const address = record({ City: "string", zip: ["null", "int"] }, "A");
  const schema = record({
    id: "int",
    customer: ["null", record({ name: "string", home: address, old: ["null", "A"] }, "C")],
    tags: { type: "map", values: "string" },
    items: {
      type: "array",
      items: record({ sku: "string", n: { type: "array", items: "int" } }, "I"),
    },
    either: ["null", "A", "string"],
  });
  const customer = { name: "Ann", home: { City: "Bern", zip: { int: 3000 } }, old: null };
  const item = (sku: string, n: number[]): object => ({ sku, n });
  const { bytes } = container(
    schema,
    encode(schema, [
      {
        id: 1,
        customer: { C: customer },
        tags: { Color: "red", color: "blue", size: "L" },
        items: [item("a", [1]), item("b", [2, 3])],
        either: null,
      },
      { id: 2, customer: null, tags: { COLOR: "green" }, items: [], either: { string: "x" } },
    ]),
  );
  const at = (incomingName: string, path: string): WantedField => ({ incomingName, path });

  test("through records, null, keys of maps and indexes of arrays, each once a row", async () => {
    const table = await readAvro(bytes, [
      at("city", "customer.home.city"),
      at("zip", "customer.home.zip"),
      at("old city", "customer.old.City"),
      at("color", "tags.color"),
      at("Color", "tags.Color"),
      at("sku", "items[1].sku"),
      at("n", "items[1].n[1]"),
      at("far", "items[7].n"),
      { incomingName: "ID" },
    ]);
    expect(table.names).toEqual([
      "city",
      "zip",
      "old city",
      "color",
      "Color",
      "sku",
      "n",
      "far",
      "id",
    ]);
    expect(table.types[1]).toBe("Nullable(Int32)");
    expect(table.rows).toEqual([
      ["Bern", "3000", null, "blue", "red", "b", "3", null, "1"],
      [null, null, null, "green", "green", null, null, null, "2"],
    ]);
    expect(table.extra).toEqual(["either"]);
  });

  test("beside the whole value that they stand in", async () => {
    const table = await readAvro(bytes, [
      { incomingName: "customer" },
      at("name", "customer.name"),
      at("zip", "customer.home.zip"),
      at("home", "customer.home"),
    ]);
    const home = '{"City":"Bern","zip":3000}';
    expect(table.rows).toEqual([
      [`{"name":"Ann","home":${home},"old":null}`, "Ann", "3000", home],
      [null, null, null, null],
    ]);
  });

  test("and gives no column for one that leads nowhere in the schema", async () => {
    const paths = ["customer.nope", "tags[0]", "items.sku", "id.x", "either.City", "items[0].n.x"];
    const table = await readAvro(
      bytes,
      paths.map((path) => at(path, path)),
    );
    expect(table.names).toEqual([]);
    expect(table.rows).toHaveLength(2);
  });

  test("taking the last of a map's equal keys", async () => {
    const map: Json = record({ m: { type: "map", values: ["null", "string"] } });
    const pairs = [
      ["k", "1"],
      ["K", "2"],
      ["k", ""],
      ["k", "3"],
      ["K", "4"],
    ] as const;
    const entries = pairs.flatMap(([key, v]) => [
      text(key),
      v ? Buffer.concat([long(1), text(v)]) : long(0),
    ]);
    const data = Buffer.concat([long(pairs.length), ...entries, long(0)]);
    const twice = container(map, [{ count: 2, data: Buffer.concat([data, data]) }]).bytes;
    const table = await readAvro(twice, [at("k", "m.k"), at("K", "m.K")]);
    expect(table.rows).toEqual([
      ["3", "4"],
      ["3", "4"],
    ]);
  });
});

describe("parseAvro writes nested values as JSON text", () => {
  test("with longs and decimals exact, bytes as characters U+0000 to U+00FF, moments in ISO 8601", async () => {
    const inner = record(
      {
        big: "long",
        dec: logical("bytes", "decimal", { precision: 20, scale: 2 }),
        raw: "bytes",
        day: logical("int", "date"),
        far: logical("int", "date"),
        at: logical("long", "timestamp-micros"),
        local: logical("long", "local-timestamp-millis"),
        time: logical("int", "time-millis"),
        nan: "double",
        s: "string",
        e: { type: "enum", name: "E", symbols: ["X"] },
        none: record({}, "Empty"),
      },
      "I",
    );
    const table = await one({
      v: [
        inner,
        {
          big: 2n ** 63n - 1n,
          dec: Buffer.from("0de0b6b3a763ffff", "hex"),
          raw: Buffer.from([0, 0x22, 0x5c, 0x7f, 0x80, 0xff, 0x41]),
          day: -1,
          far: 2 ** 31 - 1,
          at: -1n,
          local: 951_782_400_123n,
          time: 1,
          nan: Number.NaN,
          s: 'é\n"\\𝄞',
          e: "X",
          none: {},
        },
      ],
    });
    expect(table.types).toEqual(["Nullable(String)"]);
    expect(table.rows[0]?.[0]).toBe(
      '{"big":9223372036854775807,"dec":9999999999999999.99,' +
        '"raw":"\\u0000\\"\\\\\u007f\u0080\u00ffA","day":"1969-12-31","far":2147483647,' +
        '"at":"1969-12-31T23:59:59.999999Z","local":"2000-02-29T00:00:00.123","time":"00:00:00.001",' +
        '"nan":"nan","s":"é\\n\\"\\\\𝄞","e":"X","none":{}}',
    );
  });

  test("unions by the value alone, null as null of the column", async () => {
    const union: Json = ["null", "string", "long", { type: "array", items: "int" }];
    const schema = record({ v: union });
    const values = [null, { string: "a" }, { long: -1n }, { array: [1, 2, 3] }, { array: [] }];
    const { bytes } = container(
      schema,
      encode(
        schema,
        values.map((v) => ({ v })),
      ),
    );
    const table = await readAvro(bytes, wanted("v"));
    expect(table.rows).toEqual([[null], ['"a"'], ["-1"], ["[1,2,3]"], ["[]"]]);
  });

  test("arrays and maps in several parts, with their sizes and without", async () => {
    const schema = record({
      a: { type: "array", items: "int" },
      m: { type: "map", values: "int" },
      z: "int",
    });
    const array = [long(2), long(1), long(2), long(-1), long(1), long(3), long(0)];
    const entry = Buffer.concat([text("k"), long(9)]);
    const map = [long(-1), long(entry.length), entry, long(1), text("l"), long(8), long(0)];
    const data = Buffer.concat([...array, ...map, long(5)]);
    const { bytes } = container(schema, [{ count: 1, data }]);
    const table = await readAvro(bytes, wanted("a", "m", "z"));
    expect(table.rows).toEqual([["[1,2,3]", '{"k":9,"l":8}', "5"]]);
    expect((await readAvro(bytes, wanted("z"))).rows).toEqual([["5"]]);
    const wrong = Buffer.from(data);
    wrong[array.slice(0, 4).reduce((sum, part) => sum + part.length, 0)] = 4;
    const damaged = container(schema, [{ count: 1, data: wrong }]).bytes;
    await expect(readAvro(damaged, wanted("a", "z"))).rejects.toMatchObject({ code: "malformed" });
  });

  test("recursive types, read or passed over", async () => {
    const node = record(
      { v: "int", next: ["null", "Node"], all: { type: "array", items: "Node" } },
      "Node",
    );
    const leaf = (v: number): object => ({ v, next: null, all: [] });
    const value = { v: 1, next: { Node: leaf(2) }, all: [leaf(3), leaf(4)] };
    const schema = record({ tree: node, id: "int" });
    const { bytes } = container(schema, encode(schema, [{ tree: value, id: 7 }]));
    const json = (v: number): string => `{"v":${v},"next":null,"all":[]}`;
    const table = await readAvro(bytes, [
      ...wanted("tree", "id"),
      { incomingName: "deep", path: "tree.next.v" },
    ]);
    expect(table.rows).toEqual([
      [`{"v":1,"next":${json(2)},"all":[${json(3)},${json(4)}]}`, "7", "2"],
    ]);
    expect((await readAvro(bytes, wanted("id"))).rows).toEqual([["7"]]);
  });
});

describe("parseAvro places rows", () => {
  test("each at its own byte under the codec null, at its block's under others", async () => {
    const schema = record({ s: "string" });
    const values = ["a", "bcd", "", "e"].map((s) => ({ s }));
    const plain = container(schema, encode(schema, values, 3));
    const table = await readAvro(plain.bytes, wanted("s"));
    expect(table.rowNumbers).toEqual([1, 2, 3, 4]);
    for (const [index, at] of table.byteOffsets.entries()) {
      const length = plain.bytes[at] ?? 0;
      expect(plain.bytes.subarray(at + 1, at + 1 + length / 2).toString()).toBe(values[index]?.s);
    }
    const packed = container(schema, encode(schema, values, 3), "snappy");
    const [first = 0, second = 0] = packed.borders;
    expect((await readAvro(packed.bytes, wanted("s"))).byteOffsets).toEqual([
      first,
      first,
      first,
      second,
    ]);
  });

  test("into blocks that close by rows, bytes and cells, whatever Avro's blocks are", async () => {
    const schema = record({ a: "string", b: "int" });
    const values = Array.from({ length: 10 }, () => ({ a: "123", b: 4 }));
    const sizes = async (limits: object, perBlock: number): Promise<number[]> => {
      const { bytes } = container(schema, encode(schema, values, perBlock));
      const parsed = await parseAvro(wanted("a", "b"), limits)(chunked(bytes, 33));
      return (await Array.fromAsync(parsed.blocks)).map(({ rows }) => rows);
    };
    for (const perBlock of [1, 3, 10]) {
      expect(await sizes({ maxBlockRows: 4 }, perBlock)).toEqual([4, 4, 2]);
      expect(await sizes({ maxBlockRows: 5 }, perBlock)).toEqual([5, 5]);
      expect(await sizes({ maxBlockBytes: 23 }, perBlock)).toEqual([6, 4]);
      expect(await sizes({ maxBlockCells: 7 }, perBlock)).toEqual([3, 3, 3, 1]);
      expect(await sizes({ maxBlockCells: 1 }, perBlock)).toEqual(new Array(10).fill(1));
    }
  });

  test("none for a file without blocks, and none for blocks without records", async () => {
    expect((await readAvro(container(ORDERS, []).bytes, wanted("id"))).names).toEqual(["id"]);
    const empty = { count: 0, data: Buffer.alloc(0) };
    for (const codec of CODECS) {
      const { bytes } = container(ORDERS, [empty, ...encode(ORDERS, orders), empty], codec);
      expect((await readAvro(bytes, wanted("id"))).rows).toHaveLength(60);
    }
  });
});
