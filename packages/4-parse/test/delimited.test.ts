import type { Block, DelimitedSettings } from "@sluice/schema";
import { chunked, probe, stageContract } from "@sluice/streams/testing";
import { describe, expect, test } from "vitest";
import { type DelimitedLimits, parseDelimited } from "../src/index.ts";
import { COMMA, type Table, toTable } from "./table.ts";

async function read(
  text: string | Uint8Array,
  settings: Partial<DelimitedSettings> = {},
  limits: Partial<DelimitedLimits> = {},
): Promise<Table> {
  const parse = parseDelimited({ ...COMMA, ...settings }, limits);
  return await toTable(await parse(chunked(Buffer.from(text), 3)));
}

stageContract<Block>({
  name: "parseDelimited",
  stage: async function* (source) {
    yield* (await parseDelimited(COMMA, { maxBlockRows: 3, maxFieldBytes: 100 })(source)).blocks;
  },
  sample: Buffer.from(
    `a,b\r\n${Array.from({ length: 40 }, (_, i) => `${i},"x""é\n${i}"\r${i % 7 ? "" : "odd\n"}\n,\n`).join("")}`,
  ),
  collect: (blocks) => blocks,
  empty: { output: [] },
  limited: {
    stage: async function* (source) {
      yield* (await parseDelimited(COMMA, { maxFieldBytes: 4 })(source)).blocks;
    },
    code: "record_too_large",
  },
});

describe("parseDelimited names the columns", () => {
  test("after the header, or by position without one", async () => {
    expect((await read("id,Name\n1,2\n")).names).toEqual(["id", "Name"]);
    const table = await read("1,2\n", { headerRows: 0 });
    expect(table.names).toEqual(["column_1", "column_2"]);
    expect(table.rows).toEqual([["1", "2"]]);
  });

  test("after skipped lines, whatever is in them, and a byte order mark", async () => {
    const bytes = Buffer.concat([
      Buffer.from('\uFEFFtitle, "open\r\n\r\n'),
      Buffer.of(0xff, 0x0d),
      Buffer.from("a,b\n1,2"),
    ]);
    const table = await read(bytes, { skipRows: 3 });
    expect(table.names).toEqual(["a", "b"]);
    expect(table.rows).toEqual([["1", "2"]]);
    expect(table.byteOffsets).toEqual([bytes.length - 3]);
  });

  test("even when a name is the text that stands for null", async () => {
    expect((await read("NULL,b\nNULL,1", { nullText: "NULL" })).names).toEqual(["NULL", "b"]);
  });

  // Attack J4.
  test.each([
    ["a,b,A\n", "columns 1 and 3 have the same name"],
    ["a,,c\n", "column 2 has no name"],
    ['a,"b"x\n', "text after the closing quote of field 2"],
  ])("and refuses the header %j", async (text, message) => {
    await expect(read(text)).rejects.toMatchObject({
      code: "malformed",
      coordinate: { byteOffset: 0 },
    });
    await expect(read(text)).rejects.toThrow(message);
  });

  test("gives no column and no block for an empty file, no block for a header alone", async () => {
    for (const text of ["", "\uFEFF", "\n\r\n"]) {
      expect(await read(text)).toMatchObject({ names: [], rows: [] });
    }
    expect(await read("a,b")).toMatchObject({ names: ["a", "b"], rows: [] });
  });

  test("without reading further than the header", async () => {
    const source = probe(chunked(Buffer.from(`a,b\n${"1,2\n".repeat(1000)}`), 8));
    const parsed = await parseDelimited(COMMA)(source);
    expect(source.pulled).toBe(1);
    await parsed.blocks[Symbol.asyncIterator]().return?.();
    expect(source.closed).toBe(true);
  });
});

describe("parseDelimited reads values", () => {
  test("telling null from empty", async () => {
    expect((await read('a,b,c\n,"",x\n')).rows).toEqual([[null, "", "x"]]);
    expect((await read('a,b,c\n,NULL,"NULL"\n', { nullText: "NULL" })).rows).toEqual([
      ["", null, "NULL"],
    ]);
  });

  test("with every line end, and the last line without one", async () => {
    expect((await read("a,b\r1,2\n3,4\r\n5,6")).rows).toEqual([
      ["1", "2"],
      ["3", "4"],
      ["5", "6"],
    ]);
  });

  test("passing over blank lines, except in a file of one column", async () => {
    expect((await read("a,b\n\n1,2\r\n\r\n")).rows).toEqual([["1", "2"]]);
    expect((await read("a\n\n1\n\n")).rows).toEqual([[null], ["1"], [null]]);
  });

  test("keeping NUL, blanks and quotes inside of unquoted fields", async () => {
    expect((await read('a,b\n \0 , 5" pipe\n')).rows).toEqual([[" \0 ", ' 5" pipe']]);
  });

  test("numbering rows from 1 and giving each its byte offset", async () => {
    const table = await read('a,b\n1,"x\ny"\n\n2,é\n3,z');
    expect(table.rowNumbers).toEqual([1, 2, 3]);
    expect(table.byteOffsets).toEqual([4, 13, 18]);
  });

  test("closing blocks by rows, bytes and cells", async () => {
    const sizes = async (limits: Partial<DelimitedLimits>): Promise<number[]> => {
      const parsed = await parseDelimited(
        COMMA,
        limits,
      )(chunked(Buffer.from(`a,b\n${"1,2\n".repeat(10)}`), 7));
      return (await Array.fromAsync(parsed.blocks)).map(({ rows }) => rows);
    };
    expect(await sizes({ maxBlockRows: 4 })).toEqual([4, 4, 2]);
    expect(await sizes({ maxBlockBytes: 21 })).toEqual([6, 4]);
    expect(await sizes({ maxBlockCells: 7 })).toEqual([3, 3, 3, 1]);
  });
});

describe("parseDelimited makes a fault of", () => {
  test("a record with too few or too many fields, and goes on behind it", async () => {
    const table = await read("a,b\n1,2\n3\n4,5,6\n7,8\n");
    expect(table.rows).toEqual([
      ["1", "2"],
      [null, null],
      [null, null],
      ["7", "8"],
    ]);
    expect(table.faults).toEqual([
      { row: 2, code: "malformed", message: "1 field, expected 2", raw: "3" },
      { row: 3, code: "malformed", message: "3 fields, expected 2", raw: "4,5,6" },
    ]);
  });

  test("a record with text behind a closing quote, up to the next line end outside of quotes", async () => {
    const table = await read('a,b\n"1"x,"2\n3"\n4,5\n');
    expect(table.rows).toEqual([
      [null, null],
      ["4", "5"],
    ]);
    expect(table.faults).toMatchObject([
      { row: 1, message: "text after the closing quote of field 1", raw: '"1"x,"2\n3"' },
    ]);
  });

  test("keeping 4 KiB of it at most, cut between characters", async () => {
    const [fault] = (await read(`a,b\nx${"é".repeat(3000)}\n`)).faults;
    expect(fault?.raw).toBe(`x${"é".repeat(2047)}`);
  });
});

describe("parseDelimited stops with a coordinate at", () => {
  test("a quote that never closes", async () => {
    await expect(read('a,b\n1,2\n3,"4\n5,6\n')).rejects.toMatchObject({
      stage: "parse",
      code: "malformed",
      coordinate: { row: 2, byteOffset: 10 },
    });
  });

  test("bytes that are not UTF-8, even where two fields would join to a character", async () => {
    const bytes = Buffer.concat([
      Buffer.from("a,b\nx,y\n1"),
      Buffer.of(0xc3, 0x2c, 0xa9),
      Buffer.from("\n"),
    ]);
    await expect(read(bytes)).rejects.toMatchObject({
      code: "bad_encoding",
      coordinate: { row: 2, byteOffset: 9 },
    });
  });

  test("a header that is not UTF-8", async () => {
    await expect(read(Buffer.of(0x61, 0xe9, 0x0a))).rejects.toMatchObject({
      code: "bad_encoding",
      coordinate: { byteOffset: 1 },
    });
  });

  test.each([
    ["maxFieldBytes", { maxFieldBytes: 5 }, "a,b\n1,2\n3,123456\n", { row: 2, byteOffset: 8 }],
    ["maxRecordBytes", { maxRecordBytes: 8 }, "a,b\n1,2\n3,123456\n", { row: 2, byteOffset: 8 }],
    [
      "maxRecordBytes",
      { maxRecordBytes: 64 },
      `a,b\n1,"${"x\n".repeat(500)}`,
      { row: 1, byteOffset: 4 },
    ],
    ["maxColumns", { maxColumns: 2 }, "a,b,c\n", { byteOffset: 0 }],
    ["maxHeaderNameBytes", { maxHeaderNameBytes: 3 }, "a,éé\n", { byteOffset: 0 }],
  ])("%s = %j", async (option, limits, text, coordinate) => {
    await expect(read(text, {}, limits)).rejects.toMatchObject({
      code: "record_too_large",
      coordinate,
    });
    await expect(read(text, {}, limits)).rejects.toThrow(option);
  });

  test("maxRecordBytes long before the end of a file whose quote never closes", async () => {
    const endless = (async function* () {
      yield Buffer.from('a,b\n1,"');
      for (;;) yield Buffer.alloc(1000, "x\n");
    })();
    const source = probe(endless);
    const parsed = await parseDelimited(COMMA, { maxRecordBytes: 50_000 })(source);
    await expect(Array.fromAsync(parsed.blocks)).rejects.toMatchObject({
      code: "record_too_large",
    });
    expect(source.pulled).toBeLessThan(60);
    expect(source.closed).toBe(true);
  });

  test.each([
    { delimiter: "" },
    { delimiter: "\n" },
    { quote: '""' },
    { delimiter: '"' },
    { headerRows: 2 },
    { skipRows: -1 },
  ])("settings that cut no file: %j", (settings) => {
    expect(() => parseDelimited({ ...COMMA, ...settings })).toThrow("delimited text");
  });
});
