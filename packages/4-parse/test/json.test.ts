import type { Block, JsonSettings } from "@sluice/schema";
import { chunked, probe, stageContract } from "@sluice/streams/testing";
import { describe, expect, test } from "vitest";
import { parseJson } from "../src/json/parse-json.ts";
import { readJson, wanted } from "./json-read.ts";

const LINES: JsonSettings = { kind: "json", shape: "lines", recordPath: "", explodePath: "" };

for (const shape of ["lines", "records", "concatenated"] as const) {
  const records = Array.from(
    { length: 40 },
    (_, i) =>
      `{"a":${i}, "b":"x\\"\\u00e9é","c":{"d":[${"1,".repeat(i % 5)}2]}${i % 7 ? "" : ',"a":7'}}`,
  );
  stageContract<Block>({
    name: `parseJson of ${shape}`,
    stage: async function* (source) {
      const fields = wanted("a b d=c.d first=c.d[0]");
      const parse = parseJson({ ...LINES, shape }, fields, { maxBlockRows: 3 });
      yield* (await parse(source)).blocks;
    },
    sample: Buffer.from(
      shape === "records"
        ? `[${records.join(",\r\n")}]`
        : records.join(shape === "lines" ? "\n" : ""),
    ),
    collect: (blocks) => blocks,
    empty: shape === "records" ? { code: "malformed" } : { output: [] },
    ...(shape === "lines"
      ? {}
      : {
          limited: {
            stage: async function* (source) {
              const parse = parseJson({ ...LINES, shape }, wanted("a"), { maxRecordBytes: 30 });
              yield* (await parse(source)).blocks;
            },
            code: "record_too_large",
          },
        }),
  });
}

describe("parseJson finds a field", () => {
  test("by its incoming name, or where its path leads, and gives a column for each in their order", async () => {
    const parse = parseJson(LINES, wanted("b a city=address.city first=tags[0]"));
    const parsed = await parse(chunked(Buffer.from('{"a":1}'), 3));
    expect(parsed.columns).toEqual([
      { name: "b", type: "Nullable(String)" },
      { name: "a", type: "Nullable(String)" },
      { name: "city", path: "address.city", type: "Nullable(String)" },
      { name: "first", path: "tags[0]", type: "Nullable(String)" },
    ]);
    const text = '{"a":1,"address":{"zip":2,"city":"Bonn"},"tags":["x","y"],"b":3}\n{"tags":[]}';
    const { rows } = await readJson(text, "b a city=address.city first=tags[0]");
    expect(rows).toEqual([
      ["3", "1", "Bonn", "x"],
      [null, null, null, null],
    ]);
  });

  test("whose name holds dots or brackets, by its incoming name as it stands and in quotes in a path", async () => {
    const fields = [
      { incomingName: "a.b" },
      { incomingName: "c[0]" },
      { incomingName: "d", path: '"a.b"' },
      { incomingName: "e", path: "a.b" },
    ];
    const { rows } = await readJson('{"a.b":1,"c[0]":2,"a":{"b":3}}', fields);
    expect(rows).toEqual([["1", "2", "1", "3"]]);
  });

  test("without regard to case, an exact spelling first wherever it stands", async () => {
    const text = ['{"ID":1}', '{"id":2,"Id":3}', '{"Id":4,"id":5}', '{"É":{"B":6}}'].join("\n");
    const { rows, findings } = await readJson(text, "Id x=é.b");
    expect(rows).toEqual([
      ["1", null],
      ["3", null],
      ["4", null],
      [null, "6"],
    ]);
    // `id` stood beside `Id`, and went nowhere.
    expect(findings).toEqual({ absent: [], extra: ["id"], warnings: [] });
  });

  test("for each of two fields that differ in case alone", async () => {
    const { rows } = await readJson('{"id":1,"ID":2}\n{"id":3}\n{"ID":4}\n{"Id":5}', "id ID");
    expect(rows).toEqual([
      ["1", "2"],
      ["3", "3"],
      ["4", "4"],
      ["5", "5"],
    ]);
  });

  test("behind an escaped key", async () => {
    expect(
      (
        await readJson('{"\\u0061\\n":1,"b":{"\\/":2}}', [
          { incomingName: "a\n" },
          { incomingName: "s", path: 'b."/"' },
        ])
      ).rows,
    ).toEqual([["1", "2"]]);
  });

  test("at several depths of one value at one time", async () => {
    const { rows } = await readJson(
      '{"a":{"b":[1,{"c":"x"}]}}',
      "a b=a.b e=a.b[1] c=a.b[1].c d=a.b[1].c",
    );
    expect(rows).toEqual([['{"b":[1,{"c":"x"}]}', '[1,{"c":"x"}]', '{"c":"x"}', "x", "x"]]);
  });

  test("and says which none was found, and which members none takes", async () => {
    const text = '{"a":1,"x":2,"c":{"y":3}}\n{"b":null,"z":4,"x":5}\nnonsense\n{"bad":1,}';
    const { findings } = await readJson(text, "a b q n=c.n m=c.m.o");
    expect(findings).toEqual({ absent: [2, 3, 4], extra: ["x", "z"], warnings: [] });
  });

  test("however many names the file has", async () => {
    const lines = Array.from(
      { length: 3000 },
      (_, i) => `{"id":${i},"x${i}":1,"ID":2,"y${i}":{"z${i}":3},"x${i}":4}`,
    );
    const { rows, findings } = await readJson(lines.join("\n"), "id y=y2999.z2999", { size: 4096 });
    expect(rows.map(([id]) => id)).toEqual(lines.map((_, i) => String(i)));
    expect(rows.at(-1)).toEqual(["2999", "3"]);
    expect(findings.extra.slice(0, 4)).toEqual(["x0", "ID", "y0", "x1"]);
    expect(findings.warnings[0]).toMatch(/^3000 records have a key twice/);
  });

  test("in its own member when the file's earlier names were forgotten", async () => {
    const many = Array.from({ length: 5000 }, (_, i) => `"x${i}":0`).join(",");
    const lines = [`{"id":1,${many}}`, '{"id":2,"ab":3}', '{"ab":4,"id":5}', '{"ab":6}'];
    const { rows, findings } = await readJson(lines.join("\n"), "id", { size: 4096 });
    expect(rows).toEqual([["1"], ["2"], ["5"], [null]]);
    expect(findings.warnings).toEqual([]);
  });

  test("keeping the first 100 names that no field takes", async () => {
    const members = Array.from({ length: 150 }, (_, i) => `"x${i}":${i}`);
    const { findings } = await readJson(`{${members.join(",")}}`, "a");
    expect(findings.extra).toEqual(Array.from({ length: 100 }, (_, i) => `x${i}`));
  });

  test("and refuses settings whose path is none", () => {
    for (const [settings, fields, message] of [
      [LINES, "a=x..y", "the path of a: not a path"],
      [{ ...LINES, recordPath: "[" }, "a", "recordPath: not a path"],
      [{ ...LINES, explodePath: "a." }, "a", "explodePath: not a path"],
      [LINES, `a=x${".x".repeat(256)}`, "over 256 steps"],
    ] as const) {
      expect(() => parseJson(settings, wanted(fields))).toThrow(message);
      expect(() => parseJson(settings, wanted(fields))).toThrow(
        expect.objectContaining({ code: "unsupported_feature" }),
      );
    }
  });
});

describe("parseJson reads a value", () => {
  test("as text: strings decoded, numbers and words as they are written, null and absent as null", async () => {
    const text =
      '{"a":"x\\ty\\\\ \\u20AC\\ud834\\udd1e","b":-0.10E+5,"c":true,"d":false,"e":null,"f":""}';
    const { rows } = await readJson(text, "a b c d e f g");
    expect(rows).toEqual([["x\ty\\ €𝄞", "-0.10E+5", "true", "false", null, "", null]]);
  });

  // FAULTS J3
  test.each(["9007199254740993", "1e400", "-0", "123456789012345678901234567890", "0.1e-7"])(
    "exactly: the number %s",
    async (number) => {
      expect((await readJson(`{"a":${number},"b":[${number}]}`, "a c=b[0]")).rows).toEqual([
        [number, number],
      ]);
    },
  );

  test("of an object or array as the bytes that stand in the file", async () => {
    const { rows } = await readJson('{"a": { "b" :[ 1, "\\u0061" ] } ,"c":[ ]}', "a c");
    expect(rows).toEqual([['{ "b" :[ 1, "\\u0061" ] }', "[ ]"]]);
  });

  // FAULTS J4
  test("of a key given twice from the last one, and counts such records", async () => {
    const text = [
      '{"a":1,"a":2}',
      '{"a":{"b":3},"a":{"c":4}}',
      '{"a":"\\ud800","\\u0061":5,"x":1,"x":2}',
      '{"a":6,"a":null}',
      '{"a":7}',
      '{"d":{"e":1,"e":2},"u":{"v":1,"v":2}}',
    ].join("\n");
    const { rows, faults, findings } = await readJson(text, "a b=a.b e=d.e");
    expect(rows).toEqual([
      ["2", null, null],
      ['{"c":4}', null, null],
      ["5", null, null],
      [null, null, null],
      ["7", null, null],
      [null, null, "2"],
    ]);
    expect(faults).toEqual([]);
    expect(findings.warnings).toEqual([
      "5 records have a key twice in one object: the last one counts",
    ]);
    const two = await readJson('{"ID":1,"iD":2}', "id");
    expect(two.rows).toEqual([["2"]]);
    expect(two.findings.warnings).toEqual([
      "1 record has a key twice in one object: the last one counts",
    ]);
  });

  // FAULTS J2
  test("whatever its name is", async () => {
    const names = ["__proto__", "constructor", "prototype", "toString", "hasOwnProperty", "x"];
    const text =
      '{"__proto__":{"x":1},"constructor":{"prototype":{"x":2}},"toString":3,"hasOwnProperty":4}';
    const fields = names.map((incomingName) => ({ incomingName }));
    const { rows } = await readJson(text, [
      ...fields,
      { incomingName: "p", path: "constructor.prototype.x" },
    ]);
    expect(rows).toEqual([['{"x":1}', '{"prototype":{"x":2}}', null, "3", "4", null, "2"]]);
    expect((await readJson(text, "a")).findings.extra).toEqual([
      "__proto__",
      "constructor",
      "toString",
      "hasOwnProperty",
    ]);
    expect(({} as { x?: unknown }).x).toBeUndefined();
  });

  test.each([
    "\\ud800",
    "\\udc00\\ud800",
    "\\ud800\\u0041",
    "\\ud800\\ud800\\udc00",
    "\\ud800\\n",
    "\\udbffx",
  ])(
    "that is half a character, %s, as a fault of its row, where a field takes it",
    async (half) => {
      const text = [`{"a":"${half}"}`, `{"b":"${half}","a":1}`, `{"a":["${half}"]}`];
      const { rows, faults } = await readJson(text.join("\n"), "a");
      expect(rows).toEqual([[null], ["1"], [`["${half}"]`]]);
      const message =
        "field a: an escape stands for half a character, a surrogate without its other half";
      expect(faults).toEqual([{ row: 1, code: "malformed", message, raw: text[0] }]);
    },
  );
});

describe("parseJson refuses other encodings", () => {
  test.each([
    ["UTF-16", [0xff, 0xfe, 0x7b, 0x00]],
    ["UTF-16", [0xfe, 0xff, 0x00, 0x7b]],
    ["UTF-32", [0xff, 0xfe, 0x00, 0x00, 0x7b]],
    ["UTF-32", [0x00, 0x00, 0xfe, 0xff, 0x00]],
    ["UTF-16 or UTF-32", [0x7b, 0x00, 0x22, 0x00]],
    ["UTF-16 or UTF-32", [0x00, 0x7b, 0x00, 0x22]],
  ])("naming %s", async (name, bytes) => {
    for (const shape of ["lines", "records", "concatenated"] as const) {
      const reading = readJson(Uint8Array.from(bytes), "a", { shape });
      await expect(reading).rejects.toMatchObject({
        code: "bad_encoding",
        seen: expect.stringContaining(name),
        coordinate: { byteOffset: 0 },
      });
    }
  });

  test.each([
    ["a Latin-1 letter", [0xe9], 0],
    ["a sequence that is cut", [0xe2, 0x82], 0],
    ["an overlong one", [0x41, 0xc0, 0xaf], 1],
    ["a surrogate", [0xed, 0xa0, 0x80], 0],
  ])("with the place of %s, in a value or a key, wanted or not", async (_, bytes, at) => {
    for (const [before, after] of [
      ['{"a":"', '"}'],
      ['{"x":"', '"}'],
      ['{"x', '":1}'],
      ['{"b":{"y":["', '"]}}'],
    ] as const) {
      for (const [shape, open, between, close] of [
        ["lines", "", "\n", ""],
        ["records", "[", ",", "]"],
        ["concatenated", "", "", ""],
      ] as const) {
        const head = `${open}{"a":1}${between}${before}`;
        const file = Buffer.concat([
          Buffer.from(head),
          Uint8Array.from(bytes),
          Buffer.from(`${after}${between}{"a":2}nonsense${close}`),
        ]);
        for (const size of [1, 1000]) {
          await expect(readJson(file, "a b=b.y", { shape, size })).rejects.toMatchObject({
            code: "bad_encoding",
            coordinate: { row: 2, byteOffset: head.length + at },
          });
        }
      }
    }
  });

  test("but passes over UTF-8's byte order mark at the beginning", async () => {
    for (const shape of ["lines", "records", "concatenated"] as const) {
      const table = await readJson('\uFEFF{"a":"\uFEFF"}', "a", { shape, size: 1 });
      expect(table.rows).toEqual([["\uFEFF"]]);
      expect(table.byteOffsets).toEqual([3]);
    }
  });
});

describe("parseJson cuts blocks", () => {
  const sizes = async (text: string, limits: object, fields = "a", explodePath = "") => {
    const parse = parseJson({ ...LINES, explodePath }, wanted(fields), limits);
    const parsed = await parse(chunked(Buffer.from(text), 7));
    return (await Array.fromAsync(parsed.blocks)).map(({ rows }) => rows);
  };

  test("by rows, bytes of the file, bytes of cells and cells", async () => {
    const text = '{"a":1}\n'.repeat(10);
    expect(await sizes(text, { maxBlockRows: 4 })).toEqual([4, 4, 2]);
    expect(await sizes(text, { maxBlockBytes: 47 })).toEqual([6, 4]);
    expect(await sizes(text, { maxBlockCells: 7 }, "a b")).toEqual([3, 3, 3, 1]);
    expect(await sizes(text, { maxBlockBytes: 20 }, "a b=a c=a d=a e=a f=a")).toEqual([3, 3, 3, 1]);
  });

  test("within the rows of one record too", async () => {
    const text = '{"p":"parent","a":[1,2,3,4,5]}\n{"a":[6]}';
    expect(await sizes(text, { maxBlockRows: 2 }, "p a", "a")).toEqual([2, 2, 2]);
    expect(await sizes(text, { maxBlockBytes: 18 }, "p a", "a")).toEqual([3, 3]);
  });

  test("and closes its source when nobody reads them", async () => {
    const source = probe(chunked(Buffer.from('{"a":1}\n'.repeat(1000)), 8));
    const parsed = await parseJson(LINES, wanted("a"))(source);
    expect(source.pulled).toBe(0);
    await parsed.blocks[Symbol.asyncIterator]().return?.();
    expect(source.pulled).toBe(0);
  });

  test("without holding more of the file than a block and a record need", async () => {
    const source = probe(chunked(Buffer.from('{"a":1}\n'.repeat(10_000)), 80));
    const parsed = await parseJson(LINES, wanted("a"), { maxBlockRows: 10 })(source);
    const blocks = parsed.blocks[Symbol.asyncIterator]();
    await blocks.next();
    expect(source.pulled).toBeLessThan(10);
    await blocks.return?.();
    expect(source.closed).toBe(true);
  });
});
