import { describe, expect, test } from "vitest";
import {
  type AvroTable,
  BZIP2_FILE,
  behindSync,
  block,
  compress,
  container,
  encode,
  join,
  long,
  readAvro,
  record,
  SYNC,
  text,
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

describe("parseAvro refuses a block", () => {
  const ints = record({ a: "int" });
  const file = (
    data: Uint8Array,
    count: number | bigint = 1,
    schema = ints,
    codec = "null",
  ): Buffer => container(schema, [block(data, count)], codec).bytes;
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
          ? BZIP2_FILE.subarray(0, behindSync(BZIP2_FILE))
          : container(SCHEMA, [], codec).bytes;
      const whole =
        codec === "bzip2" ? BZIP2_FILE : container(SCHEMA, encode(SCHEMA, rows), codec).bytes;
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

  test("of zstandard is read when it has several frames, as many as maxFramesPerBlock", async () => {
    const codec = "zstandard";
    const data = Buffer.from(encode(SCHEMA, rows)[0]?.data ?? []);
    const parts = [data.subarray(0, 50), data.subarray(50, 51), data.subarray(51)];
    const frames = join(...parts.map((part) => compress(codec, part)));
    const header = container(SCHEMA, [], codec).bytes;
    const bytes = join(header, long(rows.length), long(frames.length), frames, SYNC);
    const read = (maxFramesPerBlock: number): Promise<AvroTable> =>
      readAvro(bytes, wanted("id"), { maxFramesPerBlock });
    expect((await read(4)).rows).toHaveLength(9);
    expect((await read(3)).rows).toHaveLength(9);
    await expect(read(2)).rejects.toMatchObject({ code: "record_too_large" });
    await expect(read(2)).rejects.toThrow("maxFramesPerBlock = 2");
  });

  test("with a string that is not UTF-8, with its row and column, even where two would join to a character", async () => {
    const schema = record({ n: "int", s: "string", b: "bytes" });
    const row = (s: Uint8Array): Buffer => join(long(1), text(s), text(Buffer.of(0xff)));
    const good = row(Buffer.from("é"));
    const halves = [row(Buffer.of(0x61, 0xc3)), row(Buffer.of(0xa9))];
    const { bytes, borders } = container(schema, [block(join(good, ...halves), 3)]);
    const at = (borders[0] ?? 0) + 2 + good.length;
    await expect(readAvro(bytes, wanted("s"))).rejects.toMatchObject({
      code: "bad_encoding",
      coordinate: { row: 2, column: "s" },
    });
    await expect(readAvro(bytes, wanted("s"))).rejects.toHaveProperty("coordinate.byteOffset", at);
    expect((await readAvro(bytes, wanted("n", "b"))).rows).toHaveLength(3);
    const nested = container(record({ v: { type: "array", items: "string" } }), [
      block(join(long(2), text(Buffer.of(0xc3)), text(Buffer.of(0xa9)), long(0))),
    ]).bytes;
    await expect(readAvro(nested, wanted("v"))).rejects.toMatchObject({ code: "bad_encoding" });
  });
});
