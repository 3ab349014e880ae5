import type { DelimitedSettings } from "@sluice/schema";
import { chunked } from "@sluice/streams/testing";
import { parse } from "csv-parse/sync";
import { describe, expect, test } from "vitest";
import type { DelimitedLimits } from "../src/csv/limits.ts";
import { parseDelimited } from "../src/csv/parse-delimited.ts";
import { COMMA, type Table, toTable } from "./table.ts";

async function read(
  text: string,
  settings: Partial<DelimitedSettings> = {},
  limits: Partial<DelimitedLimits> = {},
  size = 5,
): Promise<Table> {
  return await toTable(
    await parseDelimited({ ...COMMA, ...settings }, limits)(chunked(Buffer.from(text), size)),
  );
}

describe("parseDelimited takes every delimiter", () => {
  const marks = Array.from({ length: 128 }, (_, i) => String.fromCharCode(i)).filter(
    (mark) => !"\r\n\"'".includes(mark),
  );
  test("of one byte: each of the 124 that are no line break and no quote, as csv-parse reads it", async () => {
    expect(marks.length).toBe(124);
    for (const delimiter of marks) {
      const other = delimiter === "x" ? "y" : "x";
      const text = [
        [other, `"${delimiter}${delimiter}"`, ""],
        ["", `"${other}\r\n""${delimiter}"`, other],
        [`${other}${other}`, `""`, `""""`],
      ]
        .map((fields) => fields.join(delimiter))
        .join("\r\n");
      const expected = parse(text, { delimiter, cast: (v, c) => (v || c.quoting ? v : null) });
      const table = await read(text, { delimiter, headerRows: 0 }, {}, 1);
      expect(table.rows, JSON.stringify(delimiter)).toEqual(expected);
      expect(table.faults).toEqual([]);
    }
  });

  test.each(["||", "~|~", "\t\t", "::::", "¦", "→", "𝄞", ",,", "ab", "aab", "\0\0"])(
    "of several: %j, beginnings of which are text",
    async (delimiter) => {
      const part = Array.from(delimiter).slice(0, -1).join("");
      const text = [`1${delimiter}"${delimiter}"`, `-${part}-${delimiter}"${part}""${part}"`].join(
        "\n",
      );
      for (const size of [1, 2, 100]) {
        const table = await read(text, { delimiter, headerRows: 0 }, {}, size);
        expect(table.rows).toEqual([
          ["1", delimiter],
          [`-${part}-`, `${part}"${part}`],
        ]);
      }
    },
  );
});

describe("parseDelimited takes", () => {
  test("a file without quotes, where they are text", async () => {
    const table = await read('a,b\n"1,2"\n""",\n', { quote: "", escape: "" });
    expect(table.rows).toEqual([
      ['"1', '2"'],
      ['"""', null],
    ]);
  });

  test("an escape by a character: before quotes, itself and all else, delimiters and line ends too", async () => {
    const text = 'a,b\n"1\\"2","\\\\"\n"\\\n","\\,\\n"\n\\,"\\""\n';
    expect((await read(text, { escape: "\\" })).rows).toEqual([
      ['1"2', "\\"],
      ["\n", ",n"],
      ["\\", '"'],
    ]);
  });

  test("each line end and all of them in one file, and none of them inside of quotes", async () => {
    for (const newline of ["\n", "\r\n", "\r"]) {
      const text = `a,b${newline}1,"x${newline}y"${newline}2,z${newline}`;
      for (const size of [1, 2, 3, 100]) {
        expect((await read(text, {}, {}, size)).rows).toEqual([
          ["1", `x${newline}y`],
          ["2", "z"],
        ]);
      }
    }
    expect((await read('a\r"1\r\n2\n3\r4"\n5\r\n6\r7')).rows).toEqual([
      ["1\r\n2\n3\r4"],
      ["5"],
      ["6"],
      ["7"],
    ]);
  });

  test.each([0, 1, 2, 5])("%i lines to skip, before a header and without one", async (skipRows) => {
    const skipped = Array.from({ length: skipRows }, (_, i) => `title ${i}, "x\r\n`).join("");
    expect(await read(`${skipped}a,b\n1,2`, { skipRows })).toMatchObject({
      names: ["a", "b"],
      rows: [["1", "2"]],
    });
    expect(await read(`${skipped}a,b\n1,2`, { skipRows, headerRows: 0 })).toMatchObject({
      names: ["column_1", "column_2"],
      rows: [
        ["a", "b"],
        ["1", "2"],
      ],
    });
  });

  test("more lines to skip than the file has, as an empty file", async () => {
    expect(await read("a,b\n1,2\n", { skipRows: 3 })).toMatchObject({ names: [], rows: [] });
  });
});

// Attack C1.
describe("parseDelimited keeps hostile names and values as they are", () => {
  const names = [
    "__proto__",
    "constructor",
    "toString",
    "hasOwnProperty",
    "_run_id",
    "_row",
    "two\nlines",
    "n\0l",
    "🚢",
    "מחיר",
    "`a`; DROP TABLE x; --",
    " blank ",
  ];
  test("in a header", async () => {
    const header = names.map((name) => `"${name}"`).join(",");
    const table = await read(`\ufeff${header}\n${names.map((_, i) => i).join(",")}\n`);
    expect(table.names).toEqual(names);
    expect(table.rows).toEqual([names.map((_, i) => `${i}`)]);
    expect(({} as { x?: unknown }).x).toBeUndefined();
  });

  // Attack C3.
  test("in cells: formulas, signs, tabs and carriage returns", async () => {
    const cells = ["=cmd|'/C calc'!A0", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "=1+1\n", "'=1"];
    const text = cells.map((cell) => `1,"${cell}"`).join("\n");
    expect((await read(`a,b\n${text}`)).rows).toEqual(cells.map((cell) => ["1", cell]));
  });
});

describe("parseDelimited holds its limits at limit - 1, limit and limit + 1", () => {
  const limit = 40;
  /** A text whose measured part is `size` long. */
  const cases: [keyof DelimitedLimits, (size: number) => string][] = [
    ["maxFieldBytes", (size) => `a,b\n1,${"x".repeat(size)}\n`],
    ["maxFieldBytes", (size) => `a,b\n1,"${'""'.repeat(size)}"\n`],
    ["maxFieldBytes", (size) => `a,b\n1,"${"é".repeat(size >> 1)}${"x".repeat(size & 1)}"`],
    ["maxRecordBytes", (size) => `a,b\n1,${"x".repeat(size - 3)}\n2,3\n`],
    ["maxRecordBytes", (size) => `a,b\n1,${"x".repeat(size - 4)}\r\n2,3\n`],
    ["maxRecordBytes", (size) => `a,b\n1,"${"\n".repeat(size - 5)}"\n2,3\n`],
    ["maxRecordBytes", (size) => `a,b\n1,${"x".repeat(size - 2)}`],
    ["maxColumns", (size) => `${Array.from({ length: size }, (_, i) => i).join(",")}\n`],
    ["maxHeaderNameBytes", (size) => `a,${"x".repeat(size)}\n`],
    ["maxHeaderNameBytes", (size) => `a,"${"é".repeat(size >> 1)}${"x".repeat(size & 1)}"\n`],
  ];
  test.each(cases)("%s, case %#", async (option, text) => {
    for (const size of [1, 7, 1000]) {
      await read(text(limit - 1), {}, { [option]: limit }, size);
      await read(text(limit), {}, { [option]: limit }, size);
      const over = read(text(limit + 1), {}, { [option]: limit }, size);
      await expect(over).rejects.toMatchObject({ code: "record_too_large" });
      await expect(over).rejects.toThrow(`${option} = ${limit}`);
    }
  });

  // Attack C1.
  test("by default: 10,000 columns pass, 10,001 and a name of 1 MB do not", async () => {
    const header = (columns: number): string =>
      `${Array.from({ length: columns }, (_, i) => `c${i}`).join(",")}\n`;
    expect((await read(header(10_000), {}, {}, 65_536)).names.length).toBe(10_000);
    await expect(read(header(10_001), {}, {}, 65_536)).rejects.toThrow("maxColumns = 10000");
    await expect(read(`a,${"x".repeat(2 ** 20)}\n`, {}, {}, 65_536)).rejects.toThrow(
      "maxHeaderNameBytes = 1024",
    );
  });
});
