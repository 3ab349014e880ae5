import { describe, expect, test } from "vitest";
import {
  BZIP2_FILE,
  block,
  container,
  fieldsOf,
  type Json,
  join,
  long,
  readAvro,
  record,
  SYNC,
  text,
  wanted,
} from "./avro-file.ts";

// Attack P2.
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
    ["maxDepth", 9, (size) => container(list, [block(chain(size + 1))]).bytes, ["next"]],
    ["maxDepth", 9, (size) => container(record({ l: list }, "O"), [block(chain(size))]).bytes, []],
    ["maxCompressedBlockBytes", 80, (size) => container(strings, [block(blockOf(size))]).bytes, []],
    ...["deflate", "snappy", "zstandard"].map(
      (codec): [string, number, (size: number) => Buffer, string[]] => [
        "maxDecompressedBlockBytes",
        6000,
        (size) => {
          const data = Buffer.alloc(size - 2, "x");
          return container(strings, [block(join(long(data.length), data))], codec).bytes;
        },
        [],
      ],
    ),
    [
      "maxEmptyItems",
      20,
      (size) => container("null", [block(Buffer.alloc(0), size)]).bytes,
      ["value"],
    ],
    [
      "maxEmptyItems",
      20,
      (size) => container(nulls, [block(join(long(size), long(0)))]).bytes,
      ["v"],
    ],
    ["maxEmptyItems", 20, (size) => container(nulls, [block(join(long(size), long(0)))]).bytes, []],
    ["maxDecimalDigits", 7, (size) => container(decimal(size), []).bytes, []],
    [
      "maxRecordBytes",
      90,
      (size) => {
        const parts = [text("x".repeat(40)), text("y".repeat(size - 40))];
        return container(big, [block(join(...parts))]).bytes;
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
        return container(schema, [block(join(long(all.length), ...all, long(0)))]).bytes;
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

  test("maxDecompressedBlockBytes of BZIP2_FILE too: what the larger of its blocks holds", async () => {
    const { rows: truth } = await readAvro(BZIP2_FILE, await fieldsOf(BZIP2_FILE));
    const encoded = truth.map(([station, time, temp]) =>
      join(text(station ?? ""), long(BigInt(time ?? 0)), long(Number(temp))),
    );
    const size = join(...encoded.slice(0, 3)).length;
    expect(join(...encoded.slice(3)).length).toBeLessThan(size);
    const read = (limit: number): Promise<unknown> =>
      readAvro(BZIP2_FILE, [], { maxDecompressedBlockBytes: limit });
    await expect(read(size + 1)).resolves.toBeDefined();
    await expect(read(size)).resolves.toBeDefined();
    await expect(read(size - 1)).rejects.toThrow(`maxDecompressedBlockBytes = ${size - 1}`);
  });

  test("on a bomb of each codec, with nothing read behind it", async () => {
    for (const codec of ["deflate", "snappy", "zstandard"]) {
      const { bytes } = container("null", [block(Buffer.alloc(2 ** 22))], codec);
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
    const empty = container(doubling("null"), [block(Buffer.alloc(0))]).bytes;
    expect((await readAvro(empty, [])).rows).toEqual([[]]);
    await expect(readAvro(empty, wanted("f59"))).rejects.toThrow("maxRecordBytes");
    for (const leaf of ["int", "boolean"]) {
      const { bytes } = container(doubling(leaf), [block(Buffer.alloc(1000))]);
      for (const fields of [[], wanted("f59")]) {
        await expect(readAvro(bytes, fields)).rejects.toMatchObject({ code: "malformed" });
      }
    }
  });

  test("on a record that holds itself, and on names that lead ever deeper", async () => {
    const endless = record({ me: "R", x: "int" });
    const { bytes } = container(record({ r: endless }, "O"), [block(Buffer.alloc(10))]);
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
