import type { Block } from "@sluice/schema";
import { chunked, probe, stageContract } from "@sluice/streams/testing";
import { describe, expect, test } from "vitest";
import { parseAvro } from "../src/index.ts";
import {
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

  test("of a record without a name, as avsc writes them", async () => {
    const inner: Json = { type: "record", fields: [{ name: "b", type: "int" }] };
    const schema: Json = { type: "record", fields: [{ name: "a", type: ["null", inner] }] };
    const { bytes } = container(schema, [{ count: 1, data: Buffer.of(2, 4) }]);
    expect((await readAvro(bytes, wanted("a"))).rows).toEqual([['{"b":2}']]);
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
    expect(table.rows).toEqual([["7", "c", "1", "2", '{"9":5}', "a b"]]);
    expect(({} as { x?: unknown }).x).toBeUndefined();
    expect(Object.getPrototypeOf({})).toBe(Object.prototype);
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
