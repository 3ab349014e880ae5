import type { DelimitedSettings } from "@sluice/schema";
import { chunked } from "@sluice/streams/testing";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { DelimitedLimits } from "../src/csv/limits.ts";
import { parseDelimited } from "../src/csv/parse-delimited.ts";
import { COMMA, type Table, toTable } from "./table.ts";

/** What MySQL's INTO OUTFILE writes unless it is told otherwise. */
const OUTFILE: DelimitedSettings = {
  ...COMMA,
  delimiter: "\t",
  quote: "",
  escape: "\\",
  headerRows: 0,
  nullText: "\\N",
};

async function read(
  text: string,
  settings: Partial<DelimitedSettings> = {},
  limits: Partial<DelimitedLimits> = {},
  size = 3,
): Promise<Table> {
  const parse = parseDelimited({ ...OUTFILE, ...settings }, limits);
  return await toTable(await parse(chunked(Buffer.from(text), size)));
}

describe("delimited text without quotes, with an escape", () => {
  test("is what MySQL writes: delimiters, line ends and escapes as text, and null", async () => {
    const text = "1\tc:\\\\dir\ta\\\tb\n2\ttwo\\\nlines\t\\N\n3\t\\\r\nz\tx\\\ry\n4\t\t\n";
    for (const size of [1, 2, 3, 7, 1000]) {
      const table = await read(text, {}, {}, size);
      expect(table.rows).toEqual([
        ["1", "c:\\dir", "a\tb"],
        ["2", "two\nlines", null],
        ["3", "\r\nz", "x\ry"],
        ["4", "", ""],
      ]);
      expect(table.faults).toEqual([]);
      expect(table.byteOffsets).toEqual([0, 15, 31, 43]);
    }
  });

  test("has letters for control characters, and every other character stands for itself", async () => {
    const { rows } = await read("\\0\\b\\t\\n\\v\\f\\r\\Z\t\\q\\\"\\é\\→\\'\n");
    expect(rows).toEqual([["\0\b\t\n\v\f\r\u001a", "q\"é→'"]]);
  });

  test("knows null by the field as it stands, so that escaped escapes are text", async () => {
    const text = "\\N\t\\\\N\tx\\N\n";
    expect((await read(text)).rows).toEqual([[null, "\\N", "x\\N"]]);
    expect((await read(text, { nullText: "" })).rows).toEqual([["\\N", "\\N", "x\\N"]]);
  });

  test("keeps an escape that nothing follows", async () => {
    expect((await read("1\t2\\")).rows).toEqual([["1", "2\\"]]);
  });

  test("takes one character of a delimiter or record delimiter of several", async () => {
    const settings = { delimiter: "||", recordDelimiter: "\r\n" };
    const text = "a\\|||b\n\\|c\r\n\r\nd\\\r\n||\\||\\|\r\n";
    for (const size of [1, 2, 5, 1000]) {
      expect((await read(text, settings, {}, size)).rows).toEqual([
        ["a|", "b\n|c"],
        ["d\r\n", "|||"],
      ]);
    }
  });

  test("has letters that are its delimiter for text", async () => {
    expect((await read("1n\\n\\t\n", { delimiter: "n" })).rows).toEqual([["1", "n\t"]]);
  });

  test("passes over comments and blank lines, and an escaped comment is a record", async () => {
    const table = await read("# one\n\n1\t2\n#x\\\n\\#3\t4", { comment: "#" }, {}, 1);
    expect(table.rows).toEqual([
      ["1", "2"],
      ["#3", "4"],
    ]);
  });

  test("has names with escapes in its header, where nothing is null", async () => {
    const table = await read("a\\\tb\t\\N\n1\t2\n", { headerRows: 1 });
    expect(table.names).toEqual(["a\tb", "\\N"]);
    expect(table.rows).toEqual([["1", "2"]]);
  });

  test("makes a fault of a record with another count of fields, and goes on", async () => {
    const { rows, faults } = await read("1\t2\n\\N\tb\\\tc\td\n3\t4\n");
    expect(rows).toEqual([
      ["1", "2"],
      [null, null],
      ["3", "4"],
    ]);
    expect(faults).toEqual([
      { row: 2, code: "malformed", message: "3 fields, expected 2", raw: "\\N\tb\\\tc\td" },
    ]);
  });

  test("refuses an escape that is part of another mark", () => {
    for (const settings of [{ delimiter: "\\|" }, { recordDelimiter: "\\x" }, { comment: "\\" }])
      expect(() => parseDelimited({ ...OUTFILE, ...settings })).toThrow("part of another mark");
  });

  test.each([
    ["maxFieldBytes", (size: number) => `1\t${"x".repeat(size - 2)}\\\n\\\\\n`],
    ["maxRecordBytes", (size: number) => `1\t${"x".repeat(size - 5)}\\\t\n2\t3\n`],
  ] as const)("holds %s at limit - 1, limit and limit + 1", async (option, text) => {
    for (const size of [1, 7, 1000]) {
      await read(text(39), {}, { [option]: 40 }, size);
      await read(text(40), {}, { [option]: 40 }, size);
      const over = read(text(41), {}, { [option]: 40 }, size);
      await expect(over).rejects.toThrow(`${option} = 40`);
    }
  });

  test("gives every table back that was written by its rules, however it arrives and is cut into blocks", async () => {
    const cell = fc.option(fc.string({ unit: fc.constantFrom(..."\\\t\r\nNna|é→0") }));
    const tables = fc.array(fc.tuple(cell, cell), { maxLength: 8 });
    const escaped = (value: string | null): string =>
      value === null ? "\\N" : value.replaceAll(/[\\\t\r\n]/g, "\\$&");
    await fc.assert(
      fc.asyncProperty(tables, fc.nat(9), fc.nat(3), async (table, size, rows) => {
        const text = table.map((row) => `${row.map(escaped).join("\t")}\n`).join("");
        // Where CRLF ends records too, a carriage return at a record's end is not told from it.
        const settings = { recordDelimiter: "\n" };
        const given = await read(text, settings, { maxBlockRows: rows + 1 }, size + 1);
        expect(given.rows).toEqual(table);
        expect(given.faults).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });
});

test("with a quote an escape outside of quotes is text", async () => {
  const { rows } = await read('a\\"b\t"c\\"d"\n', { quote: '"' });
  expect(rows).toEqual([['a\\"b', 'c"d']]);
});
