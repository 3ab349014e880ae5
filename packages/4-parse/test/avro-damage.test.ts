import { readFileSync } from "node:fs";
import { StageError } from "@sluice/errors";
import { chunked, probe } from "@sluice/streams/testing";
import { describe, expect, test } from "vitest";
import { parseAvro } from "../src/index.ts";
import {
  CODECS,
  container,
  encode,
  fieldsOf,
  type Json,
  long,
  readAvro,
  record,
  SYNC,
  text,
  type Written,
  wanted,
} from "./avro-file.ts";

const SCHEMA = record({
  id: "long",
  name: "string",
  tags: { type: "map", values: "int" },
  kind: { type: "enum", name: "E", symbols: ["A", "B"] },
  more: ["null", "double", { type: "array", items: "boolean" }],
});
const rows = Array.from({ length: 9 }, (_, i) => ({
  id: BigInt(i) ** 19n,
  name: `name ${i}`.repeat((i % 3) + 1),
  tags: { a: i, [`k${i}`]: -i },
  kind: i % 2 === 0 ? "A" : "B",
  more: [null, { double: i / 3 }, { array: [true, false] }][i % 3],
}));
/** bzip2 was written by bzip2 itself: nothing here writes it. */
const bzip2 = readFileSync(new URL("avro-weather-bzip2.avro", import.meta.url));

const countListeners = (): number[] =>
  ["uncaughtException", "unhandledRejection"].map((event) => process.listenerCount(event));
const listenersBefore = countListeners();

const endOf = (bytes: Buffer, sync: Uint8Array, from = 0): number =>
  bytes.indexOf(sync, from) + sync.length;

function samples(): (Written & { codec: string; perBlock: readonly number[] })[] {
  const written = CODECS.map((codec) => ({
    codec,
    perBlock: [4, 4, 1],
    ...container(SCHEMA, encode(SCHEMA, rows, 4), codec),
  }));
  const first = endOf(bzip2, SYNC);
  const borders = [first, endOf(bzip2, SYNC, first), bzip2.length];
  return [...written, { codec: "bzip2", perBlock: [3, 2], bytes: bzip2, borders }];
}

/** All cells of a file, or the error: which must be one of ours, with a place. */
async function outcome(bytes: Uint8Array): Promise<StageError | readonly unknown[]> {
  try {
    return (await readAvro(bytes, await fieldsOf(bytes), {}, 4096)).rows;
  } catch (error) {
    if (!(error instanceof StageError)) throw error;
    expect(error.stage).toBe("parse");
    expect(error.coordinate.byteOffset).toBeTypeOf("number");
    return error;
  }
}

describe.each(samples())("parseAvro of a damaged file of codec $codec", (sample) => {
  const { codec, bytes, borders, perBlock } = sample;

  test("refuses it cut at any byte that is not the border of a block", async () => {
    let whole = 0;
    for (let length = 0; length < bytes.length; length++) {
      const result = await outcome(bytes.subarray(0, length));
      const blocks = borders.indexOf(length);
      if (blocks >= 0) {
        // It looks complete: nothing says how many blocks there are.
        whole++;
        const count = perBlock.slice(0, blocks).reduce((sum, rowCount) => sum + rowCount, 0);
        expect(result).toHaveLength(count);
      } else expect(result).toMatchObject({ code: "malformed" });
    }
    expect(whole).toBe(borders.length - 1);
  });

  test("refuses 200 changed bits, or gives as many rows; with a checksum the same rows", async () => {
    const [first = 0] = borders;
    const truth = await outcome(bytes);
    const hasChecksum = codec !== "null" && codec !== "deflate";
    let seed = 20;
    let refused = 0;
    for (let turn = 0; turn < 200; turn++) {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      const bit = Math.floor((seed / 2 ** 32) * bytes.length * 8);
      const changed = Buffer.from(bytes);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      const result = await outcome(changed);
      if (result instanceof StageError) refused++;
      else if (hasChecksum && bit >> 3 >= first) expect(result).toEqual(truth);
      else expect(result).toHaveLength(9 - (codec === "bzip2" ? 4 : 0));
    }
    expect(refused).toBeGreaterThan(50);
  });

  test("finds every changed bit of the markers, counts and sizes", async () => {
    for (const border of borders.slice(0, -1)) {
      const bits = [...SYNC.keys()].map((i) => (border - 1 - i) * 8).concat(border * 8 + 1);
      for (const bit of bits) {
        const changed = Buffer.from(bytes);
        changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        expect(await outcome(changed)).toBeInstanceOf(StageError);
      }
    }
  });

  test("says in which block, and from which row on", async () => {
    const [, second = 0, third = 0] = borders;
    const changed = Buffer.from(bytes);
    changed[third - 1] = (changed[third - 1] ?? 0) ^ 1;
    await expect(readAvro(changed, wanted("id", "time"))).rejects.toMatchObject({
      code: "malformed",
      coordinate: { row: 1 + (perBlock[0] ?? 0), byteOffset: second },
    });
  });
});

const one = (
  data: Uint8Array,
  count: number | bigint = 1,
): { count: number; data: Uint8Array } => ({
  count: count as number,
  data,
});
const join = (...parts: Uint8Array[]): Buffer => Buffer.concat(parts);

describe("parseAvro refuses a block", () => {
  const ints = record({ a: "int" });
  const file = (
    data: Uint8Array,
    count: number | bigint = 1,
    schema = ints,
    codec = "null",
  ): Buffer => container(schema, [one(data, count)], codec).bytes;
  const anything = wanted("a", "v");

  test.each<[what: string, bytes: Buffer, message: string]>([
    ["with bytes behind its last record", file(join(long(1), long(2))), "1 bytes behind its last"],
    ["with fewer records than it says", file(long(1), 2), "more items than bytes"],
    ["with 2^62 records", file(long(1), 2n ** 62n), "count or size"],
    ["with a negative count", file(long(1), -1), "count or size"],
    ["whose last record is cut", file(join(long(1), Buffer.of(0x80)), 2), "beyond the block's end"],
    ["without bytes but with records", file(Buffer.alloc(0)), "more items than bytes"],
    ["with an int of 33 bits", file(long(2n ** 31n)), "more than 32 bits"],
    ["with a long of 70 bits", file(Buffer.from("ffffffffffffffffff7f", "hex")), "64 bits"],
    ["with a long that never ends", file(Buffer.alloc(12, 0xff)), "64 bits"],
    [
      "with a union branch beyond the last",
      file(long(2), 1, record({ v: ["null", "int"] })),
      "union branch 2 of 2",
    ],
    [
      "with a union branch below the first",
      file(long(-1), 1, record({ v: ["null", "int"] })),
      "union branch -1 of 2",
    ],
    [
      "with a union branch of 64 bits",
      file(long(2n ** 62n), 1, record({ v: ["null", "int", "string"] })),
      "of 3",
    ],
    [
      "with an enum symbol beyond the last",
      file(long(1), 1, record({ v: { type: "enum", name: "E", symbols: ["A"] } })),
      "enum symbol 1 of 1",
    ],
    ["with a boolean of 2", file(Buffer.of(2), 1, record({ v: "boolean" })), "neither 0 nor 1"],
    [
      "with a string of negative length",
      file(long(-1), 1, record({ v: "string" })),
      "negative length",
    ],
    [
      "with a string beyond its end",
      file(join(long(3), Buffer.from("ab")), 1, record({ v: "string" })),
      "beyond the block's end",
    ],
    [
      "with a string of 2^62 bytes",
      file(long(2n ** 62n), 1, record({ v: "string" })),
      "beyond the block's end",
    ],
    [
      "with an array of 2^62 items",
      file(join(long(2n ** 62n), long(0)), 1, record({ v: { type: "array", items: "int" } })),
      "more items than bytes",
    ],
    [
      "with an array of -2^63 items",
      file(join(long(-(2n ** 63n)), long(0)), 1, record({ v: { type: "array", items: "int" } })),
      "more items than bytes",
    ],
    [
      "with a double beyond its end",
      file(Buffer.alloc(7), 1, record({ v: "double" })),
      "beyond the block's end",
    ],
  ])("%s", async (_, bytes, message) => {
    for (const fields of [anything, []]) {
      // What nobody wants is passed over: only its length is looked at.
      const isInner = /neither|enum|32 bits|union branch -?\d+ of 3/.test(message);
      const run = readAvro(bytes, fields);
      if (fields.length === 0 && isInner && !message.includes("union")) continue;
      await expect(run).rejects.toMatchObject({ stage: "parse", code: "malformed" });
      if (fields.length > 0) await expect(readAvro(bytes, fields)).rejects.toThrow(message);
    }
  });

  test.each(["deflate", "snappy", "zstandard", "bzip2"])(
    "that is not %s, or goes on behind it",
    async (codec) => {
      const header =
        codec === "bzip2"
          ? bzip2.subarray(0, endOf(bzip2, SYNC))
          : container(SCHEMA, [], codec).bytes;
      const whole =
        codec === "bzip2" ? bzip2 : container(SCHEMA, encode(SCHEMA, rows), codec).bytes;
      const start = header.length;
      // Count and size are of one or two bytes each; the data is all up to the marker.
      const end = whole.indexOf(SYNC, start);
      const size = [2, 3, 4].find((n) => {
        const length = whole.subarray(start, start + n);
        return length.length > 1 && long(end - start - n).equals(length.subarray(1));
      });
      const data = whole.subarray(start + (size ?? 0), end);
      const count = whole.subarray(start, start + 1);
      const build = (bytes: Uint8Array): Buffer =>
        join(header, count, long(bytes.length), bytes, SYNC);
      expect((await readAvro(build(data), [])).rows.length).toBeGreaterThan(0);
      for (const wrong of [
        Buffer.from("x"),
        Buffer.alloc(0),
        Buffer.alloc(40),
        join(data, Buffer.from("more")),
        join(data, Buffer.of(0)),
        data.subarray(0, -1),
        join(data, data).subarray(0, -3),
      ]) {
        await expect(readAvro(build(wrong), [])).rejects.toMatchObject({
          code: "malformed",
          coordinate: { row: 1, byteOffset: start },
        });
      }
    },
  );

  test("of zstandard is read when it has several frames", async () => {
    const [block] = encode(SCHEMA, rows);
    const data = Buffer.from(block?.data ?? []);
    const codec = "zstandard";
    const halves = [data.subarray(0, 50), data.subarray(50)].map((half) => {
      const { bytes, borders } = container(SCHEMA, [one(half)], codec);
      return bytes.subarray((borders[0] ?? 0) + 1 + (half.length > 50 ? 2 : 1), -SYNC.length);
    });
    const frames = halves.map((bytes) =>
      bytes.subarray(bytes.indexOf(Buffer.from("28b52ffd", "hex"))),
    );
    const header = container(SCHEMA, [], codec).bytes;
    const both = join(...frames);
    const bytes = join(header, long(rows.length), long(both.length), both, SYNC);
    expect((await readAvro(bytes, wanted("id"))).rows).toHaveLength(9);
  });

  test("with a string that is not UTF-8, with its row and column, even where two would join to a character", async () => {
    const schema = record({ n: "int", s: "string", b: "bytes" });
    const row = (s: Uint8Array): Buffer => join(long(1), text(s), text(Buffer.of(0xff)));
    const good = row(Buffer.from("é"));
    const halves = [row(Buffer.of(0x61, 0xc3)), row(Buffer.of(0xa9))];
    const { bytes, borders } = container(schema, [one(join(good, ...halves), 3)]);
    const at = (borders[0] ?? 0) + 2 + good.length;
    await expect(readAvro(bytes, wanted("s"))).rejects.toMatchObject({
      code: "bad_encoding",
      coordinate: { row: 2, column: "s" },
    });
    await expect(readAvro(bytes, wanted("s"))).rejects.toHaveProperty("coordinate.byteOffset", at);
    expect((await readAvro(bytes, wanted("n", "b"))).rows).toHaveLength(3);
    const nested = container(record({ v: { type: "array", items: "string" } }), [
      one(join(long(2), text(Buffer.of(0xc3)), text(Buffer.of(0xa9)), long(0))),
    ]).bytes;
    await expect(readAvro(nested, wanted("v"))).rejects.toMatchObject({ code: "bad_encoding" });
  });
});

describe("parseAvro refuses a header", () => {
  const of = (...parts: (Uint8Array | string)[]): Buffer =>
    Buffer.concat(parts.map((part) => Buffer.from(part)));
  const withSchema = (schema: string, codec = "null"): Buffer =>
    of(
      "Obj\u0001",
      long(2),
      text("avro.schema"),
      text(schema),
      text("avro.codec"),
      text(codec),
      long(0),
      SYNC,
    );

  test.each<[what: string, bytes: Buffer, code: string, message: string]>([
    ["of no bytes", of(), "malformed", "not an Avro object container file"],
    ["of a CSV file", of("a,b\n1,2\n"), "malformed", "set the format that the file has"],
    ["of Avro 1.2", of("Obj\u0000..."), "unsupported_feature", "old Avro version"],
    ["without a schema", of("Obj\u0001", long(0), SYNC), "malformed", "no avro.schema"],
    [
      "with two schemas",
      of(
        "Obj\u0001",
        long(2),
        text("avro.schema"),
        text('"int"'),
        text("avro.schema"),
        text('"long"'),
        long(0),
        SYNC,
      ),
      "malformed",
      "twice",
    ],
    ["with a schema that is no JSON", withSchema("{"), "malformed", "not JSON"],
    [
      "with a schema that is no UTF-8",
      of(
        "Obj\u0001",
        long(1),
        text("avro.schema"),
        text(Buffer.of(0x22, 0xff, 0x22)),
        long(0),
        SYNC,
      ),
      "bad_encoding",
      "not UTF-8",
    ],
    ["with an unknown type", withSchema('"Missing"'), "malformed", "not valid"],
    [
      "with a type of another's prototype",
      withSchema('{"type":"constructor"}'),
      "malformed",
      "not valid",
    ],
    [
      "with a name that is defined twice",
      withSchema('[{"type":"fixed","name":"A","size":1},{"type":"fixed","name":"A","size":2}]'),
      "malformed",
      "not valid",
    ],
    [
      "with a fixed of 2^31 bytes",
      withSchema('{"type":"fixed","name":"F","size":2147483648}'),
      "malformed",
      "not valid",
    ],
    [
      "with a fixed of -1 bytes",
      withSchema('{"type":"fixed","name":"F","size":-1}'),
      "malformed",
      "not valid",
    ],
    ["with a union in a union", withSchema('["null",["int"]]'), "malformed", "not valid"],
    [
      "with a field without a name",
      withSchema('{"type":"record","name":"R","fields":[{"type":"int"}]}'),
      "malformed",
      "without a name",
    ],
    ["with a codec that nobody knows", withSchema('"int"', "lzo"), "unsupported_feature", "lzo"],
    ["with xz", withSchema('"int"', "xz"), "unsupported_feature", "xz"],
    [
      "with a codec that is no name",
      withSchema('"int"', "\n{evil}"),
      "unsupported_feature",
      "a name that is none",
    ],
    [
      "with a key of negative length",
      of("Obj\u0001", long(1), long(-5)),
      "malformed",
      "negative length",
    ],
    [
      "with a count of 2^62",
      of("Obj\u0001", long(2n ** 62n)),
      "record_too_large",
      "maxHeaderBytes",
    ],
    [
      "with a value of 2^62 bytes",
      of("Obj\u0001", long(1), text("k"), long(2n ** 62n)),
      "record_too_large",
      "maxHeaderBytes",
    ],
  ])("%s", async (_, bytes, code, message) => {
    const source = probe(chunked(bytes, 5));
    const parsing = parseAvro(wanted("a"))(source);
    await expect(parsing).rejects.toMatchObject({ stage: "parse", code });
    await expect(parsing).rejects.toThrow(message);
    await expect(parsing).rejects.toHaveProperty("coordinate.byteOffset");
    expect(source.pulled === 0 || source.closed).toBe(true);
  });

  test("in several parts with their sizes is read", async () => {
    const pairs = [join(text("avro.schema"), text('"int"')), join(text("x"), text("y"))];
    const parts = pairs.flatMap((pair) => [long(-1), long(pair.length), pair]);
    const bytes = of("Obj\u0001", ...parts, long(0), SYNC, long(1), long(1), long(4), SYNC);
    expect((await readAvro(bytes, wanted("value"))).rows).toEqual([["4"]]);
  });
});

describe("parseAvro holds limits", () => {
  const schemaOf = (levels: number): Json =>
    levels === 1 ? "int" : { type: "array", items: schemaOf(levels - 1) };
  const list = record({ next: ["null", "R"] });
  const chain = (length: number): Buffer => join(...new Array(length - 1).fill(long(1)), long(0));
  const blockOf = (bytes: number): Buffer => {
    const data = Buffer.alloc(bytes - 2, "x");
    return join(long(data.length), data);
  };
  const strings = record({ s: "string" });
  const big = record({ s: "string", t: "string" });
  const decimal = (precision: number): Json =>
    record({ d: { type: "bytes", logicalType: "decimal", precision } });
  const nulls = record({ v: { type: "array", items: "null" } });

  // Each: the option, a file that needs `size` of it, and what is wanted.
  test.each<[option: string, limit: number, file: (size: number) => Buffer, fields: string[]]>([
    [
      "maxSchemaBytes",
      100,
      (size) => {
        const empty = JSON.stringify({ type: "int", doc: "" }).length;
        return container({ type: "int", doc: "x".repeat(size - empty) }, []).bytes;
      },
      [],
    ],
    [
      "maxHeaderBytes",
      300,
      (size) => {
        const make = (n: number): Buffer =>
          container("int", [], "null", { k: "x".repeat(n) }).bytes;
        // The marker behind it is no longer measured.
        return make(100 + size - make(100).length + SYNC.length + 1);
      },
      [],
    ],
    ["maxSchemaDepth", 6, (size) => container(schemaOf(size), []).bytes, []],
    [
      "maxNamedTypes",
      4,
      (size) => {
        const types = Array.from({ length: size }, (_, i) => ({
          type: "fixed",
          name: `F${i}`,
          size: 1,
        }));
        return container(types, []).bytes;
      },
      [],
    ],
    ["maxDepth", 9, (size) => container(list, [one(chain(size + 1))]).bytes, ["next"]],
    ["maxDepth", 9, (size) => container(record({ l: list }, "O"), [one(chain(size))]).bytes, []],
    ["maxCompressedBlockBytes", 80, (size) => container(strings, [one(blockOf(size))]).bytes, []],
    ...["deflate", "snappy", "zstandard"].map(
      (codec): [string, number, (size: number) => Buffer, string[]] => [
        "maxDecompressedBlockBytes",
        6000,
        (size) => {
          const data = Buffer.alloc(size - 2, "x");
          return container(strings, [one(join(long(data.length), data))], codec).bytes;
        },
        [],
      ],
    ),
    [
      "maxEmptyItems",
      20,
      (size) => container("null", [one(Buffer.alloc(0), size)]).bytes,
      ["value"],
    ],
    [
      "maxEmptyItems",
      20,
      (size) => container(nulls, [one(join(long(size), long(0)))]).bytes,
      ["v"],
    ],
    ["maxEmptyItems", 20, (size) => container(nulls, [one(join(long(size), long(0)))]).bytes, []],
    ["maxDecimalDigits", 7, (size) => container(decimal(size), []).bytes, []],
    [
      "maxRecordBytes",
      90,
      (size) => {
        const parts = [text("x".repeat(40)), text("y".repeat(size - 40))];
        return container(big, [one(join(...parts))]).bytes;
      },
      ["s", "t"],
    ],
    [
      "maxRecordBytes",
      90,
      (size) => {
        const items = Array.from({ length: (size - 1) / 2 }, () => long(0));
        const schema = record({ v: { type: "array", items: "int" } });
        const odd = (size - 1) % 2 === 0 ? [] : [long(0)];
        const last = odd.length === 0 ? [] : [long(10)];
        const all = odd.length === 0 ? items : [...items.slice(1), ...last];
        return container(schema, [one(join(long(all.length), ...all, long(0)))]).bytes;
      },
      ["v"],
    ],
  ])(
    "%s = %i: one less and as much pass, one more does not",
    async (option, limit, file, fields) => {
      const read = (size: number): Promise<unknown> =>
        readAvro(file(size), wanted(...fields), { [option]: limit });
      await expect(read(limit - 1)).resolves.toBeDefined();
      await expect(read(limit)).resolves.toBeDefined();
      await expect(read(limit + 1)).rejects.toMatchObject({
        stage: "parse",
        code: "record_too_large",
      });
      await expect(read(limit + 1)).rejects.toThrow(`${option} = ${limit}`);
    },
  );

  test("maxDecompressedBlockBytes of bzip2 too: what the larger of its blocks holds", async () => {
    const { rows: truth } = await readAvro(bzip2, await fieldsOf(bzip2));
    const encoded = truth.map(([station, time, temp]) =>
      join(text(station ?? ""), long(BigInt(time ?? 0)), long(Number(temp))),
    );
    const size = join(...encoded.slice(0, 3)).length;
    expect(join(...encoded.slice(3)).length).toBeLessThan(size);
    const read = (limit: number): Promise<unknown> =>
      readAvro(bzip2, [], { maxDecompressedBlockBytes: limit });
    await expect(read(size + 1)).resolves.toBeDefined();
    await expect(read(size)).resolves.toBeDefined();
    await expect(read(size - 1)).rejects.toThrow(`maxDecompressedBlockBytes = ${size - 1}`);
  });

  test("on a bomb of each codec, with nothing read behind it", async () => {
    for (const codec of ["deflate", "snappy", "zstandard"]) {
      const { bytes } = container("null", [one(Buffer.alloc(2 ** 22))], codec);
      const run = readAvro(bytes, [], { maxDecompressedBlockBytes: 2 ** 20 });
      await expect(run).rejects.toMatchObject({ code: "record_too_large" });
    }
  });

  test("on types that double at each level: text, steps and time stay within them", async () => {
    const doubling = (leaf: Json): Json => {
      let fields: Json[] = [];
      const types = [record({ a: leaf, b: leaf }, "T0")];
      for (let level = 1; level < 60; level++) {
        types.push(record({ a: `T${level - 1}`, b: `T${level - 1}` }, `T${level}`));
      }
      fields = types.map((type, i) => ({ name: `f${i}`, type }));
      return { type: "record", name: "All", fields };
    };
    const empty = container(doubling("null"), [one(Buffer.alloc(0))]).bytes;
    expect((await readAvro(empty, [])).rows).toEqual([[]]);
    await expect(readAvro(empty, wanted("f59"))).rejects.toThrow("maxRecordBytes");
    for (const leaf of ["int", "boolean"]) {
      const { bytes } = container(doubling(leaf), [one(Buffer.alloc(1000))]);
      for (const fields of [[], wanted("f59")]) {
        await expect(readAvro(bytes, fields)).rejects.toMatchObject({ code: "malformed" });
      }
    }
  });

  test("on a record that holds itself, and on names that lead ever deeper", async () => {
    const endless = record({ me: "R", x: "int" });
    const { bytes } = container(record({ r: endless }, "O"), [one(Buffer.alloc(10))]);
    await expect(readAvro(bytes, wanted("r"))).rejects.toThrow("maxDepth");
    await expect(readAvro(bytes, [])).rejects.toThrow("maxDepth");
    const fields = Array.from({ length: 1900 }, (_, i) => ({
      name: `f${i}`,
      type: record({ x: i === 0 ? "int" : `T${i - 1}` }, `T${i}`),
    }));
    const deep = container({ type: "record", name: "All", fields } as Json, []).bytes;
    await expect(readAvro(deep, wanted("f1899"))).rejects.toThrow("maxSchemaDepth");
    const brackets = container("int", []).bytes.toString("latin1");
    const schema = "[".repeat(200_000);
    const header = brackets.slice(0, brackets.indexOf("avro.schema") + 11);
    const bytesOf = join(
      Buffer.from(header, "latin1"),
      text(schema + "]".repeat(200_000)),
      Buffer.alloc(30),
    );
    await expect(readAvro(bytesOf, [], {}, 65_536)).rejects.toMatchObject({ stage: "parse" });
  });
});

test("parseAvro leaves no listener on the process, whatever its libraries do", async () => {
  for (let turn = 0; turn < 3; turn++) await readAvro(bzip2, []);
  expect(countListeners()).toEqual(listenersBefore);
});
