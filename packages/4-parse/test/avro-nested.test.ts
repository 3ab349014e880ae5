import type { WantedField } from "@sluice/schema";
import { describe, expect, test } from "vitest";
import { parseAvro } from "../src/index.ts";
import {
  container,
  encode,
  type Json,
  logical,
  long,
  one,
  readAvro,
  record,
  text,
  wanted,
} from "./avro-file.ts";

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

  test("and refuses at once what is no path", () => {
    expect(() => parseAvro([at("x", "a[")])).toThrow("the path of the field x: not a path");
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
    expect(table.rows).toEqual([[null], ["a"], ["-1"], ["[1,2,3]"], ["[]"]]);
  });

  test("moments of unions by their text, since no type of a column says what a number means", async () => {
    const schema = record({
      v: [
        { type: "int", logicalType: "date" },
        { type: "long", logicalType: "timestamp-millis" },
        "string",
      ],
    });
    const values = [{ int: 19_782 }, { long: 1_700_000_000_123n }, { string: "2024" }];
    const rows = encode(
      schema,
      values.map((v) => ({ v })),
    );
    const table = await readAvro(container(schema, rows).bytes, wanted("v"));
    expect(table.rows).toEqual([["2024-02-29"], ["2023-11-14T22:13:20.123Z"], ["2024"]]);
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
