import { describe, expect, test } from "vitest";
import { readJson } from "./json-read.ts";

const SIZES = [1, 2, 3, 7, 1000];

// FAULTS J5
describe("parseJson of lines", () => {
  test("takes LF, CRLF and a lone CR for the end of a line, passes over blank ones, and needs none at the end", async () => {
    const text = '\uFEFF\r\n \t\n{"a":1}\r\n\r{"a":2}\r  {"a":3} \t\n\n\n{"a":4}';
    for (const size of SIZES) {
      const table = await readJson(text, "a", { size });
      expect(table.rows).toEqual([["1"], ["2"], ["3"], ["4"]]);
      expect(table.rowNumbers).toEqual([1, 2, 3, 4]);
      const bytes = Buffer.from(text);
      expect(table.byteOffsets).toEqual([1, 2, 3, 4].map((n) => bytes.indexOf(`{"a":${n}`)));
      expect(table.faults).toEqual([]);
    }
  });

  test.each([
    ["nonsense", "byte 1 of the line: a record is an object, and begins with {"],
    ["[1,2]", "byte 1 of the line: a record is an object, and begins with {"],
    ["7", "byte 1 of the line: a record is an object, and begins with {"],
    ['{"a":1}{"a":2}', "byte 8 of the line: more than one record stands on the line"],
    ['{"a":1} {"a":2}', "byte 9 of the line: more than one record stands on the line"],
    ['{"a":1},', "byte 8 of the line: a comma stands behind the record"],
    [
      '{"a":1,}',
      "byte 8 of the line: a key in double quotes is expected, not }: no comma stands before it",
    ],
    ['{"a" 1}', "byte 6 of the line: a colon is expected"],
    ['{"a":01}', "byte 7 of the line: a number may not begin with a zero"],
    [
      '{"a":NaN}',
      "byte 6 of the line: a value is expected, not N: NaN and None are no values of JSON",
    ],
    ['{"a":nul}', "byte 9 of the line: only true, false and null are words"],
    ['{"a":"\\x"}', "byte 8 of the line: no such escape"],
    ['{"a":"\\u12g4"}', "byte 11 of the line: four hexadecimal digits are expected behind \\u"],
    [
      '{"a":"x\ty"}',
      "byte 8 of the line: a control character stands in a string: it has to be escaped",
    ],
    ['{"a":[1 2]}', "byte 9 of the line: a comma or ] is expected"],
    ['{"a":1 "b":2}', "byte 8 of the line: a comma or } is expected"],
    ['{"a":1\u0000}', "byte 7 of the line: a comma or } is expected"],
    ['{"a":"x', "byte 8 of the line: the line ends inside of a record"],
    ['{"a":1,', "byte 8 of the line: the line ends inside of a record"],
    ['{"a":tr', "byte 8 of the line: the line ends inside of a record"],
    ['\uFEFF{"a":1}', "byte 1 of the line: a record is an object, and begins with {"],
  ])("makes a fault of the line %j and goes on with the next", async (line, message) => {
    for (const size of SIZES) {
      for (const end of ["\n", "\r", "\r\n"]) {
        const text = `{"a":1}${end}  ${line}${end}{"a":2}${end}`;
        const table = await readJson(text, "a", { size });
        expect(table.rows).toEqual([["1"], [null], ["2"]]);
        expect(table.faults).toEqual([{ row: 2, code: "malformed", message, raw: line }]);
        expect(table.byteOffsets[1]).toBe(7 + end.length + 2);
      }
    }
  });

  test("makes a fault of a first line and of a last line that is cut", async () => {
    for (const size of SIZES) {
      const table = await readJson('{"a":1\n{"a":2}\n{"a":', "a", { size });
      expect(table.rows).toEqual([[null], ["2"], [null]]);
      expect(table.faults).toEqual([
        {
          row: 1,
          code: "malformed",
          message: "byte 7 of the line: the line ends inside of a record",
          raw: '{"a":1',
        },
        {
          row: 3,
          code: "malformed",
          message: "byte 6 of the line: the file ends inside of a record",
          raw: '{"a":',
        },
      ]);
    }
  });

  test("keeps 4 KiB of a faulty line, and no half characters", async () => {
    const line = `{"a":"${"é".repeat(3000)}"`;
    const { faults } = await readJson(`{"a":1}\n${line}\n`, "a", { size: 500 });
    expect(faults).toHaveLength(1);
    // Six bytes before the first é: the 4096th byte ends one.
    expect(faults[0]?.raw).toBe(line.slice(0, 6 + 2045));
    const odd = await readJson(`{"a":1}\n{"ab":"${"é".repeat(3000)}`, "a", { size: 500 });
    expect(odd.faults[0]?.raw).toBe(`{"ab":"${"é".repeat(2044)}`);
  });

  test("makes a fault of a line over its limit, however long, and goes on with the next", async () => {
    const limits = { maxRecordBytes: 5000 };
    for (const tail of ['"}', '"} {"a":1}', "", '"x']) {
      const line = `{"a":"${"é".repeat(40_000)}${tail}`;
      for (const size of [100, 1 << 16, 1 << 20]) {
        for (const end of ["\n", "\r", "\r\n"]) {
          const text = `{"a":1}${end}${line}${end}{"a":2}`;
          const table = await readJson(text, "a", { size, limits });
          expect(table.rows).toEqual([["1"], [null], ["2"]]);
          expect(table.faults).toEqual([
            {
              row: 2,
              code: "record_too_large",
              message: "the line has more than maxRecordBytes = 5000 bytes",
              raw: line.slice(0, 6 + 2045),
            },
          ]);
          expect(table.byteOffsets[1]).toBe(7 + end.length);
        }
      }
    }
  });

  test("still finds what is not UTF-8 in a line over its limit", async () => {
    const long = `{"a":"${"é".repeat(40_000)}`;
    const file = Buffer.concat([Buffer.from(long), Buffer.of(0xc3, 0x0a), Buffer.from('{"a":1}')]);
    for (const size of [7, 1000, 1 << 20]) {
      const reading = readJson(file, "a", { size, limits: { maxRecordBytes: 100 } });
      await expect(reading).rejects.toMatchObject({
        code: "bad_encoding",
        coordinate: { byteOffset: Buffer.byteLength(long) },
      });
    }
  });

  test("gives no row for an empty file or one of blank lines", async () => {
    for (const text of ["", "\uFEFF", "\n", " \r\n\n"]) {
      const table = await readJson(text, "a");
      expect(table).toMatchObject({ names: ["a"], rows: [], findings: { absent: [0] } });
    }
  });

  test.each([
    ["records", '[{"a":1},{"a":2}]'],
    ["records", ' \n[{"a":1},\n{"a":2}]'],
    ["records", '[\n  {\n    "a": 1\n  }\n]\n'],
    ["concatenated", '{\n  "a": 1\n}\n{\n  "a": 2\n}\n'],
    ["concatenated", '{\r\n"a": 1}'],
  ])("proposes %s when the file is %j", async (shape, text) => {
    for (const size of SIZES) {
      await expect(readJson(text, "a", { size })).rejects.toMatchObject({
        code: "malformed",
        rawMessage: `the file does not have one record on each line: set shape to ${shape}`,
        seen: shape,
        expected: "shape lines",
        coordinate: { row: 1, byteOffset: text.search(/[[{]/) },
      });
    }
    const { rows } = await readJson(text, "a", { shape: shape as "records" });
    expect(rows[0]).toEqual(["1"]);
  });

  test("proposes nothing when a line is merely wrong", async () => {
    for (const line of ["[1,2]", "[]", "{", '{"a":', "[[1]]"]) {
      const { rows, faults } = await readJson(`${line}\n{"a":2}`, "a");
      expect(rows, line).toEqual([[null], ["2"]]);
      expect(faults).toHaveLength(1);
    }
  });
});

describe("parseJson of lines with a recordPath", () => {
  test("takes the record, or each record of the array, that it leads to", async () => {
    const text = [
      '{"t":1,"data":{"rows":{"a":1}}}',
      '{"data":{"rows":[{"a":2}, {"a":3} ,7,{"a":4}]},"rows":{"a":9}}',
      '{"data":{"rows":[]}}',
      '{"DATA":{"Rows":[{"a":5}]}}',
    ];
    for (const size of SIZES) {
      const limits = { maxBlockRows: 2 };
      const reading = { size, recordPath: "data.rows", limits };
      const table = await readJson(text.join("\n"), "a", reading);
      expect(table.rows).toEqual([["1"], ["2"], ["3"], [null], ["4"], ["5"]]);
      expect(table.faults).toEqual([
        {
          row: 4,
          code: "malformed",
          message: "a record is an object, and begins with {",
          raw: "7",
        },
      ]);
      const whole = text.join("\n");
      expect(table.byteOffsets[0]).toBe(whole.indexOf('{"a":1'));
      expect(table.byteOffsets[2]).toBe(whole.indexOf('{"a":3'));
    }
  });

  test("takes the last of two places that it leads to, and counts the line", async () => {
    const text = '{"d":{"a":1},"d":[{"a":2},{"a":3}]}\n{"d":{"a":4}}';
    const { rows, findings } = await readJson(text, "a", { recordPath: "d" });
    expect(rows).toEqual([["2"], ["3"], ["4"]]);
    expect(findings.warnings).toEqual([
      "1 record has a key twice in one object: the last one counts",
    ]);
  });

  test("takes elements of a line's array when it begins with an index", async () => {
    const { rows } = await readJson('[{"a":1},7]\n[{"a":2}]', "a", { recordPath: "[0]" });
    expect(rows).toEqual([["1"], ["2"]]);
  });

  test("makes one fault of a line in which it leads nowhere, or that is not JSON", async () => {
    const lines = ['{"x":1}', '{"d":null}', '{"d":7}', '{"d":[{"a":1},{"a":2}]', '{"d":{"a":3}}'];
    const { rows, faults } = await readJson(lines.join("\n"), "a", { recordPath: "d" });
    expect(rows).toEqual([[null], [null], [null], [null], ["3"]]);
    expect(faults.map(({ message, raw }) => [message, raw])).toEqual([
      ["recordPath leads to no record", lines[0]],
      ["recordPath leads to no record", lines[1]],
      ["recordPath leads to no record", lines[2]],
      ["byte 23 of the line: the line ends inside of a record", lines[3]],
    ]);
  });
});
