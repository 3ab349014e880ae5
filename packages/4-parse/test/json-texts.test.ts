import { chunked, probe } from "@sluice/streams/testing";
import { describe, expect, test } from "vitest";
import { parseJson } from "../src/json/parse-json.ts";
import { readJson, wanted } from "./json-read.ts";

const SIZES = [1, 2, 3, 7, 1000];
const records = (size: number) => ({ shape: "records", size }) as const;
const concatenated = (size: number) => ({ shape: "concatenated", size }) as const;

describe("parseJson of records", () => {
  test("does not wait for more of the file than its first record", async () => {
    const source = probe(chunked(Buffer.from(`[${'{"a":1},'.repeat(100)}{"a":1}]`), 1));
    const settings = { kind: "json", shape: "records", recordPath: "", explodePath: "" } as const;
    const parsed = await parseJson(settings, wanted("a"), { maxBlockRows: 1 })(source);
    const blocks = parsed.blocks[Symbol.asyncIterator]();
    expect((await blocks.next()).value?.rows).toBe(1);
    expect(source.pulled).toBeLessThan(20);
    await blocks.return?.();
    expect(source.closed).toBe(true);
  });

  test("takes each element of an array, or the one record that the text is", async () => {
    for (const size of SIZES) {
      const text = '\uFEFF [ {"a":1} ,\r\n\t{"a":2},{"b":3}\n] \n';
      const table = await readJson(text, "a", records(size));
      expect(table.rows).toEqual([["1"], ["2"], [null]]);
      const bytes = Buffer.from(text);
      expect(table.byteOffsets).toEqual(
        ['{"a":1', '{"a":2', '{"b"'].map((at) => bytes.indexOf(at)),
      );
      expect((await readJson(' {\n"a": 1\n}\n', "a", records(size))).rows).toEqual([["1"]]);
      expect((await readJson("[]", "a", records(size))).rows).toEqual([]);
    }
  });

  test("makes a fault of an element that is no object", async () => {
    const text = '[1, {"a":1}, "x\\n", [{"a":2}] ,null,true,-1.5e3]';
    for (const size of SIZES) {
      const { rows, faults } = await readJson(text, "a", records(size));
      expect(rows).toEqual([[null], ["1"], [null], [null], [null], [null], [null]]);
      expect(faults.map(({ row, code, raw }) => [row, code, raw])).toEqual([
        [1, "malformed", "1"],
        [3, "malformed", '"x\\n"'],
        [4, "malformed", '[{"a":2}]'],
        [5, "malformed", "null"],
        [6, "malformed", "true"],
        [7, "malformed", "-1.5e3"],
      ]);
    }
  });

  test.each([
    [
      '[{"a":1},{"a":2,}]',
      2,
      16,
      "a key in double quotes is expected, not }: no comma stands before it",
    ],
    ['[{"a":1},{"a":2]', 2, 15, "a comma or } is expected"],
    ['[{"a":1} {"a":2}]', 2, 9, "a comma or ] is expected"],
    ['[{"a":1},]', 2, 9, "a value is expected, not ]: no comma stands before it"],
    ['[{"a":NaN}]', 1, 6, "a value is expected, not N: NaN and None are no values of JSON"],
    ['[{"a":-Infinity}]', 1, 7, "a digit is expected, not I: -Infinity is no value of JSON"],
    ['[{"a":}]', 1, 6, "a value is expected, not }: a value is missing before it"],
    ['[{"a":1,"b":[1,]}]', 1, 15, "a value is expected, not ]: no comma stands before it"],
    ['[{"a":1}}', 2, 8, "a comma or ] is expected"],
    ['[,{"a":1}]', 1, 1, "a value is expected, not another comma"],
    ["nonsense", 1, 1, "only true, false and null are words"],
    ["{'a':1}", 1, 1, "a key in double quotes is expected"],
    ['[{"a":1}] x', 2, 10, "the text ends before this"],
    ['[{"a":1}]]', 2, 9, "the text ends before this"],
    ['[{"a":1},', 2, 9, "the file ends inside of a JSON text"],
    ['[{"a":1},{"a', 2, 12, "the file ends inside of a JSON text"],
    ["", 1, 0, "the file holds no JSON text"],
    [" \n", 1, 2, "the file holds no JSON text"],
    ["7", 1, 0, "a record is an object, and begins with {"],
  ])("refuses %j", async (text, row, byteOffset, message) => {
    for (const size of SIZES) {
      await expect(readJson(text, "a", records(size))).rejects.toMatchObject({
        code: "malformed",
        rawMessage: message,
        coordinate: { row, byteOffset },
      });
    }
  });

  test.each([
    ["lines", '{"a":1}\n{"a":2}\n', 8],
    ["lines", '{"a":1} \r\n\n{"a":2}', 11],
    ["concatenated", '{"a":1}{"a":2}', 7],
    ["concatenated", '{"a":1} {"a":2}', 8],
    ["concatenated", '{\n"a":1}\n{"a":2}', 9],
    ["concatenated", '[{"a":1}]\n[{"a":2}]', 10],
  ] as const)("proposes %s when the file is %j", async (shape, text, byteOffset) => {
    for (const size of SIZES) {
      await expect(readJson(text, "a", records(size))).rejects.toMatchObject({
        code: "malformed",
        rawMessage: `the file holds more than one JSON text: set shape to ${shape}`,
        seen: shape,
        expected: "shape records",
        coordinate: { row: 2, byteOffset },
      });
    }
    expect((await readJson(text, "a", { shape })).rows).toEqual([["1"], ["2"]]);
  });
});

describe("parseJson of concatenated texts", () => {
  test("takes records, and records of arrays, with any whitespace or none between them", async () => {
    for (const size of SIZES) {
      const text = '{"a":1}{"a":2}\n\n [{"a":3},{"a":4}][]\t{\r\n"a":5}[{"a":6}]';
      const table = await readJson(text, "a", concatenated(size));
      expect(table.rows).toEqual([["1"], ["2"], ["3"], ["4"], ["5"], ["6"]]);
      expect(table.byteOffsets.slice(0, 3)).toEqual([0, 7, 18]);
      expect((await readJson(" ", "a", concatenated(size))).rows).toEqual([]);
    }
  });

  test("makes a fault of a text that is no record", async () => {
    for (const size of SIZES) {
      const { rows, faults } = await readJson('1 {"a":1}"x"null [2]', "a", concatenated(size));
      expect(rows).toEqual([[null], ["1"], [null], [null], [null]]);
      expect(faults.map(({ raw }) => raw)).toEqual(["1", '"x"', "null", "2"]);
    }
  });

  test("refuses what breaks the grammar, and a text that is cut", async () => {
    for (const [text, row, byteOffset] of [
      ['{"a":1},{"a":2}', 2, 7],
      ['{"a":1}{"a":2', 2, 13],
      ['{"a":1}]', 2, 7],
      ['{"a":1}nul', 2, 10],
    ] as const) {
      for (const size of SIZES) {
        await expect(readJson(text, "a", concatenated(size))).rejects.toMatchObject({
          code: "malformed",
          coordinate: { row, byteOffset },
        });
      }
    }
  });
});

describe("parseJson with a recordPath", () => {
  const text =
    '{"meta":{"rows":[9],"n":[[{}],"x"]},"data":[null,{"rows":[{"a":1},{"a":2}]}],"rows":[{"a":9}]}';

  test("goes through members and elements, and past what stands beside", async () => {
    for (const size of SIZES) {
      const table = await readJson(text, "a", { ...records(size), recordPath: "data[1].rows" });
      expect(table.rows).toEqual([["1"], ["2"]]);
      expect(table.byteOffsets[0]).toBe(text.indexOf('{"a":1'));
      const one = await readJson(text, "n", { ...records(size), recordPath: "meta" });
      expect(one.rows).toEqual([['[[{}],"x"]']]);
      expect(one.findings.extra).toEqual(["rows"]);
    }
  });

  test("matches names without regard to case, and escaped ones", async () => {
    const names = '{"Data":null,"d\\u0061ta":{"ROWS":[{"a":1}]},"DATA":{"rows":[{"a":2}]}}';
    for (const size of SIZES) {
      const reading = { ...records(size), recordPath: "data.rows" };
      expect((await readJson(names, "a", reading)).rows).toEqual([["1"]]);
    }
  });

  test("refuses a text in which it leads nowhere, or to two places", async () => {
    for (const [file, message] of [
      ['{"x":1}', "recordPath leads to no record in this text"],
      ['{"d":null}', "recordPath leads to no record in this text"],
      ['{"d":"x"}', "recordPath leads to no record in this text"],
      ['[{"d":[]}]', "recordPath leads to no record in this text"],
      ['{"d":[{"a":1}],"d":[{"a":2}]}', "recordPath leads to two places of one text"],
      ['{"d":{"a":1},"d":null}', "recordPath leads to two places of one text"],
      ['{"D":{"a":1},"d":{}}', "recordPath leads to two places of one text"],
      ['{"x":{"d":[]},"d":7}', "recordPath leads to no record in this text"],
    ]) {
      for (const size of SIZES) {
        const reading = readJson(file ?? "", "a", { ...records(size), recordPath: "d" });
        await expect(reading).rejects.toMatchObject({ code: "malformed", rawMessage: message });
      }
    }
  });

  test("makes a fault of one of several texts in which it leads nowhere", async () => {
    const long = `{"x":"${"é".repeat(3000)}"}`;
    const file = `{"d":{"a":1}}{"d":null} ${long}{"d":[]}{"d":[{"a":2},3]}7`;
    for (const size of [1, 100, 5000]) {
      const table = await readJson(file, "a", { ...concatenated(size), recordPath: "d" });
      expect(table.rows).toEqual([["1"], [null], [null], ["2"], [null], [null]]);
      expect(table.faults.map(({ raw }) => raw)).toEqual([
        '{"d":null}',
        long.slice(0, 6 + 2045),
        "3",
        "7",
      ]);
      expect(table.byteOffsets.slice(0, 3)).toEqual([5, 13, 24]);
    }
  });

  test("tells the row of bytes that are not UTF-8 alike, whatever becomes of their text", async () => {
    const file = Buffer.from('{"d":{"a":1}}{"x":"\xff"}{"d":{"a":2}}', "latin1");
    for (const size of SIZES) {
      const reading = readJson(file, "a", { ...concatenated(size), recordPath: "d" });
      await expect(reading).rejects.toMatchObject({
        code: "bad_encoding",
        coordinate: { row: 1, byteOffset: 19 },
      });
    }
  });

  test("passes what stands beside the records whatever its size", async () => {
    const beside = JSON.stringify(Array.from({ length: 3000 }, (_, i) => ({ i, x: ["y"] })));
    const file = `{"meta":${beside},"rows":[{"a":1}],"more":${beside}}`;
    const limits = { maxRecordBytes: 10, maxValueBytes: 10 };
    const reading = { ...records(100), recordPath: "rows", limits };
    expect((await readJson(file, "a", reading)).rows).toEqual([["1"]]);
  });
});
