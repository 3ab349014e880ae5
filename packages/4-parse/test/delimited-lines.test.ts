import { StageError } from "@sluice/errors";
import type { Block, DelimitedSettings } from "@sluice/schema";
import { chunked, probe, stageContract } from "@sluice/streams/testing";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type DelimitedLimits, parseDelimited } from "../src/index.ts";
import { encode } from "./encode.ts";
import { COMMA, type Table, toTable } from "./table.ts";

/** Dialects with a record delimiter or comments, which csv-parse cuts. */

async function read(
  text: string | Uint8Array,
  settings: Partial<DelimitedSettings> = {},
  limits: Partial<DelimitedLimits> = {},
  size = 3,
): Promise<Table> {
  const parse = parseDelimited({ ...COMMA, ...settings }, limits);
  return await toTable(await parse(chunked(Buffer.from(text), size)));
}

/** The table, or what stopped it. */
async function outcome(...given: Parameters<typeof read>): Promise<unknown> {
  return await read(...given).catch((error: unknown) => {
    if (!(error instanceof StageError)) throw error;
    const { code, rawMessage, coordinate } = error;
    return { code, rawMessage, coordinate };
  });
}

const LINES = { recordDelimiter: "~~", comment: "#" };

stageContract<Block>({
  name: "parseDelimited by csv-parse",
  stage: async function* (source) {
    const parse = parseDelimited({ ...COMMA, ...LINES }, { maxBlockRows: 3, maxFieldBytes: 100 });
    yield* (await parse(source)).blocks;
  },
  sample: Buffer.from(
    `#c~~a,b~~${Array.from({ length: 40 }, (_, i) => `${i},"x""é~~${i}"~~${i % 7 ? "# ~\n,~~" : "odd~~"}~~,~~`).join("")}`,
  ),
  collect: (blocks) => blocks,
  empty: { output: [] },
  limited: {
    stage: async function* (source) {
      yield* (await parseDelimited({ ...COMMA, ...LINES }, { maxFieldBytes: 4 })(source)).blocks;
    },
    code: "record_too_large",
  },
});

describe("csv-parse gives the tokeniser's table, faults, places and errors", () => {
  const dialects = fc
    .record({
      delimiter: fc.constantFrom(",", "||", "¦", "~|~", "|#|~|~|~|~|~|~|~"),
      quote: fc.constantFrom('"', '"', "'", "«", ""),
      escape: fc.constantFrom("quote", "quote", "\\", "»", ""),
      nullText: fc.constantFrom("", "NULL", "é"),
      headerRows: fc.constantFrom(0, 1),
      skipRows: fc.constantFrom(0, 0, 1),
    })
    .map(({ escape: escapeWith, ...dialect }) => ({
      ...dialect,
      escape: escapeWith === "quote" ? dialect.quote : escapeWith,
    }));
  const noise = (
    dialect: Partial<DelimitedSettings>,
    ends: readonly string[],
  ): fc.Arbitrary<string> => {
    const { delimiter = "", quote = "", escape: escapeWith = "" } = dialect;
    const marks = [delimiter, delimiter, delimiter, quote, quote, quote, escapeWith];
    const text = ["a", "xyz", "é", "«", "NULL", " ", "\0", "|", "~", "\ufeff"];
    const unit = fc.constantFrom(...marks, ...ends, ...ends, ...ends, ...text);
    return fc.array(unit, { maxLength: 40 }).map((parts) => parts.join(""));
  };
  const cases = (ends: readonly string[]): fc.Arbitrary<[Partial<DelimitedSettings>, string]> =>
    dialects.chain((dialect) => fc.tuple(fc.constant(dialect), noise(dialect, ends)));
  const sizes = fc.integer({ min: 1, max: 64 });
  const limits = fc.constantFrom<Partial<DelimitedLimits>>(
    {},
    { maxBlockRows: 2 },
    { maxBlockBytes: 9 },
    { maxRecordBytes: 12 },
  );

  test("when the line feed is named as the record delimiter", async () => {
    await fc.assert(
      fc.asyncProperty(cases(["\n"]), sizes, limits, async ([dialect, text], size, limit) => {
        const named = { ...dialect, recordDelimiter: "\n" };
        expect(await outcome(text, named, limit, size)).toEqual(
          await outcome(text, dialect, limit, size),
        );
      }),
      { numRuns: 4000 },
    );
  });

  test("at every line end, when no line is a comment", async () => {
    await fc.assert(
      fc.asyncProperty(cases(["\n", "\r", "\r\n"]), sizes, async ([dialect, text], size) => {
        const named = { ...dialect, comment: "%%" };
        expect(await outcome(text, named, {}, size)).toEqual(
          await outcome(text, dialect, {}, size),
        );
      }),
      { numRuns: 4000 },
    );
  });

  test("of bytes that are not UTF-8", async () => {
    const bytes = fc
      .array(fc.constantFrom(0x61, 0x2c, 0x2c, 0x0a, 0x0a, 0xc3, 0xa9, 0xff), {
        maxLength: 30,
      })
      .map((values) => Uint8Array.from(values));
    await fc.assert(
      fc.asyncProperty(bytes, sizes, async (text, size) => {
        const named = { recordDelimiter: "\n", headerRows: 0 };
        const seen = await outcome(text, named, {}, size);
        expect(seen).toEqual(await outcome(text, { headerRows: 0 }, {}, size));
      }),
      { numRuns: 2000 },
    );
  });
});

test("noise with comments and record delimiters gives one outcome, wherever the bytes are cut", async () => {
  const marks = [",", ",", '"', '"', "#", "#", "~~", "~~", "~", "\n", "\r", "#;", "a", "é", "\0"];
  const noise = fc
    .array(fc.constantFrom(...marks), { maxLength: 40 })
    .map((parts) => parts.join(""));
  const dialect = fc.record({
    recordDelimiter: fc.constantFrom("~~", "#;", "é"),
    comment: fc.constantFrom("#", "##", "~#", "a"),
    headerRows: fc.constantFrom(0, 1),
    skipRows: fc.constantFrom(0, 1),
  });
  await fc.assert(
    fc.asyncProperty(
      noise,
      dialect,
      fc.boolean(),
      fc.integer({ min: 1, max: 9 }),
      async (text, { recordDelimiter, ...lines }, isOwn, size) => {
        const settings = isOwn ? { ...lines, recordDelimiter } : lines;
        expect(await outcome(text, settings, {}, size)).toEqual(
          await outcome(text, settings, {}, 1000),
        );
      },
    ),
    { numRuns: 4000 },
  );
});

describe("a record delimiter", () => {
  const delimiters = ["\u001e", "|\n", "~~", "<EOR>\r\n", "¶", "abab", "\r\n"];
  test.each(delimiters)("%j ends records wherever the bytes are cut", async (recordDelimiter) => {
    const part = recordDelimiter.slice(0, -1);
    const records = ["a,b", `1,x${part}-`, "", `2,"y${recordDelimiter}""é"`, "3,\n", ',""'];
    const text = Buffer.from(records.join(recordDelimiter));
    const place = (before: number): number =>
      Buffer.byteLength(
        records
          .slice(0, before)
          .map((record) => record + recordDelimiter)
          .join(""),
      );
    const expected = {
      names: ["a", "b"],
      rows: [
        ["1", `x${part}-`],
        ["2", `y${recordDelimiter}"é`],
        ["3", "\n"],
        [null, ""],
      ],
      rowNumbers: [1, 2, 3, 4],
      byteOffsets: [place(1), place(3), place(4), place(5)],
      faults: [],
    };
    for (let size = 1; size <= text.length; size++)
      expect(await read(text, { recordDelimiter }, {}, size)).toEqual(expected);
    for (let at = 1; at < text.length; at++) {
      const halves = (async function* () {
        yield text.subarray(0, at);
        yield text.subarray(at);
      })();
      const parse = parseDelimited({ ...COMMA, recordDelimiter });
      expect(await toTable(await parse(halves))).toEqual(expected);
    }
    expect(
      await read(Buffer.concat([text, Buffer.from(recordDelimiter)]), { recordDelimiter }),
    ).toEqual(expected);
  });

  test("ends the lines to skip too, however long, and stands behind a byte order mark", async () => {
    const text = `\ufeff"title~\n~~${"x".repeat(500)}~~~a,b~~1,2~~`;
    const settings = { recordDelimiter: "~~", skipRows: 2 };
    for (const size of [1, 2, 5, 1000]) {
      expect(await read(text, settings, { maxRecordBytes: 20 }, size)).toMatchObject({
        names: ["~a", "b"],
        rows: [["1", "2"]],
      });
    }
    expect(await read(text, { ...settings, skipRows: 4 })).toMatchObject({ names: [], rows: [] });
  });

  test("leaves line breaks to the fields", async () => {
    const table = await read("a,b\u001e1,x\r\ny\u001e\n2,z\u001e", { recordDelimiter: "\u001e" });
    expect(table.rows).toEqual([
      ["1", "x\r\ny"],
      ["\n2", "z"],
    ]);
  });

  test.each(["utf-16le", "utf-16be", "latin-1", "windows-1252"] as const)(
    "is found in %s, and places are those of the file",
    async (encoding) => {
      const text = "a,b¶#é\n¶1,é¶2¶3,ü¶";
      const table = await read(encode(text, encoding), {
        recordDelimiter: "¶",
        comment: "#",
        encoding,
      });
      const place = (of: string): number =>
        encode(text.slice(0, text.indexOf(of)), encoding).length;
      expect(table.rows).toEqual([
        ["1", "é"],
        [null, null],
        ["3", "ü"],
      ]);
      expect(table.byteOffsets).toEqual([place("1,"), place("2¶"), place("3,")]);
      expect(table.faults).toMatchObject([{ row: 2, message: "1 field, expected 2", raw: "2" }]);
    },
  );
});

describe("a comment", () => {
  test.each<[string, string, Partial<DelimitedSettings>]>([
    ["before the header, between records and at the end", '#x\na,b\n#\n1,2\n\n##,"\n#\n3,4\n#', {}],
    ["with every line end", "#x\r\na,b\r#y\r\n1,2\n#z\r3,4\r#\r\n", {}],
    ["of several characters", "//x\na,b\n1,2\n//\n3,4", { comment: "//" }],
    ["of several bytes", "→x\na,b\n1,2\n→→\n3,4\n", { comment: "→" }],
    ["up to the record delimiter", '#\n~~a,b~~1,2~~#~,\n"~~3,4~~', { recordDelimiter: "~~" }],
    ["that begins the record delimiter", "#x#;a,b#;1,2#;#;#y#;3,4", { recordDelimiter: "#;" }],
    ["without quotes around", "#'\na,b\n1,2\n#'\n3,4", { quote: "", escape: "" }],
  ])("is passed over %s", async (_, text, settings) => {
    for (const size of [1, 2, 3, 1000]) {
      const table = await read(text, { comment: "#", ...settings }, {}, size);
      expect(table.names).toEqual(["a", "b"]);
      expect(table.rows).toEqual([
        ["1", "2"],
        ["3", "4"],
      ]);
      expect(table.byteOffsets).toEqual(
        [text.indexOf("1,2"), text.indexOf("3,4")].map((at) =>
          Buffer.byteLength(text.slice(0, at)),
        ),
      );
      expect(table.faults).toEqual([]);
    }
  });

  test("is text inside of quotes, behind the first character of a line and in its last field", async () => {
    const table = await read('a,b\n1,"x\n#y"\n "#,#\n2#,x#y\n"#3",\n', { comment: "#" });
    expect(table.rows).toEqual([
      ["1", "x\n#y"],
      [' "#', "#"],
      ["2#", "x#y"],
      ["#3", null],
    ]);
  });

  test("is none in lines to skip, which count", async () => {
    const table = await read("#x\n#y\n#z\na,b\n", { comment: "#", skipRows: 2 });
    expect(table.names).toEqual(["a", "b"]);
  });

  test("in a file of one column leaves blank lines records", async () => {
    expect((await read("a\n\n#x\n1\n\n#\n\n", { comment: "#" })).rows).toEqual([
      [null],
      ["1"],
      [null],
      [null],
    ]);
    expect((await read("a~#~~#x~1", { comment: "#", recordDelimiter: "~" })).rows).toEqual([
      [null],
      ["1"],
    ]);
  });

  test("longer than a record may be stops the load, wherever the bytes are cut", async () => {
    for (const size of [1, 7, 1000]) {
      const over = read(
        `a,b\n1,2\n#${"x".repeat(39)}\n3,4\n`,
        { comment: "#" },
        { maxRecordBytes: 40 },
        size,
      );
      await expect(over).rejects.toMatchObject({
        code: "record_too_large",
        coordinate: { row: 2, byteOffset: 8 },
      });
      await expect(over).rejects.toThrow("maxRecordBytes = 40");
      await read(`a,b\n#${"x".repeat(38)}\n3,4\n`, { comment: "#" }, { maxRecordBytes: 40 }, size);
    }
  });
});

describe("a record that cannot be cut is one fault, and the next goes on", () => {
  test.each<[string, string, string, number?]>([
    ["with too few fields", "3", "1 field, expected 2"],
    ["with too many fields", '4,5,"~~"', "3 fields, expected 2"],
    ["with text behind a closing quote", '"1"x,"~~"', "text after the closing quote of field 1"],
    ["with NUL behind a closing quote", 'x,"1"\0', "text after the closing quote of field 2"],
    [
      "with a comment behind a closing quote",
      '1,"2"#,3',
      "text after the closing quote of field 2",
    ],
    [
      "with a comment behind an empty first field",
      '""#,3',
      "text after the closing quote of field 1",
    ],
    ["with a comment behind a first field", '"1"#"x,3', "text after the closing quote of field 1"],
  ])("%s", async (_, record, message) => {
    for (const size of [1, 2, 3, 1000]) {
      const table = await read(`a,b~~1,2~~${record}~~7,8`, LINES, {}, size);
      expect(table.rows).toEqual([
        ["1", "2"],
        [null, null],
        ["7", "8"],
      ]);
      expect(table.faults).toEqual([{ row: 2, code: "malformed", message, raw: record }]);
      expect((await read(`a,b~~1,2~~${record}`, LINES, {}, size)).faults).toEqual(table.faults);
    }
  });

  test("keeping NUL as text everywhere else", async () => {
    expect((await read('a,b~~\0,"\0"~~', LINES)).rows).toEqual([["\0", "\0"]]);
  });
});

describe("the file stops with row and byte offset at", () => {
  test.each<[string, string, string, object]>([
    [
      "a quote that never closes",
      'a,b~~1,2~~#~~3,"é~~5,6',
      "malformed",
      { row: 2, byteOffset: 15 },
    ],
    ["one that opens a record", 'é,b~~1,2~~"4~~5,6', "malformed", { row: 2, byteOffset: 11 }],
    ["one in the header", '#~~a,"b~~1,2', "malformed", { byteOffset: 5 }],
    ["a name given twice", "a,b,A~~1,2,3", "malformed", { byteOffset: 0, column: "A" }],
    ["an empty name", "#~~a,,c~~", "malformed", { byteOffset: 3 }],
  ])("%s", async (_, text, code, coordinate) => {
    for (const size of [1, 4, 1000]) {
      const stopped = read(text, LINES, {}, size);
      await expect(stopped).rejects.toMatchObject({ stage: "parse", code });
      await expect(stopped).rejects.toHaveProperty("coordinate", coordinate);
    }
  });

  test("bytes that are not UTF-8, in a field or in a comment", async () => {
    for (const line of ["3,", "#"]) {
      const bytes = Buffer.concat([
        Buffer.from(`a,b~~1,2~~${line}`),
        Buffer.from([0xe9]),
        Buffer.from("~~5,6~~"),
      ]);
      await expect(read(bytes, LINES)).rejects.toMatchObject({
        code: "bad_encoding",
        coordinate: { byteOffset: 10 + line.length },
      });
    }
  });

  const limit = 40;
  const measured: [keyof DelimitedLimits, (size: number) => string][] = [
    ["maxFieldBytes", (size) => `a,b~~1,${"x".repeat(size)}~~`],
    ["maxFieldBytes", (size) => `a,b~~1,"${'""'.repeat(size)}"~~`],
    ["maxFieldBytes", (size) => `a,b~~1,"${"é".repeat(size >> 1)}${"x".repeat(size & 1)}"`],
    ["maxRecordBytes", (size) => `a,b~~1,${"x".repeat(size - 4)}~~2,3~~`],
    ["maxRecordBytes", (size) => `a,b~~1,"${"~".repeat(size - 6)}"~~2,3~~`],
    ["maxRecordBytes", (size) => `a,b~~1,${"x".repeat(size - 2)}`],
    ["maxColumns", (size) => `${Array.from({ length: size }, (_, i) => i).join(",")}~~`],
    ["maxColumns", (size) => `a,b~~${",".repeat(size - 1)}~~`],
    ["maxHeaderNameBytes", (size) => `a,${"x".repeat(size)}~~`],
  ];
  test.each(measured)("%s, at the limit and one beyond, case %#", async (option, text) => {
    for (const size of [1, 7, 1000]) {
      await read(text(limit - 1), LINES, { [option]: limit }, size);
      await read(text(limit), LINES, { [option]: limit }, size);
      const over = read(text(limit + 1), LINES, { [option]: limit }, size);
      await expect(over).rejects.toMatchObject({ code: "record_too_large" });
      await expect(over).rejects.toThrow(`${option} = ${limit}`);
    }
  });

  test("a record of millions of fields, before they are held", async () => {
    const text = `a,b~~1,2~~${",".repeat(4 * 2 ** 20)}`;
    await expect(read(text, LINES, {}, 65_536)).rejects.toMatchObject({
      code: "record_too_large",
      coordinate: { row: 2, byteOffset: 10 },
    });
  });

  // Attack C2.
  test("maxRecordBytes long before the end of a file whose quote never closes", async () => {
    const endless = (async function* () {
      yield Buffer.from('a,b~~1,"');
      for (;;) yield Buffer.alloc(1000, "x~");
    })();
    const source = probe(endless);
    const parsed = await parseDelimited({ ...COMMA, ...LINES }, { maxRecordBytes: 50_000 })(source);
    await expect(Array.fromAsync(parsed.blocks)).rejects.toMatchObject({
      code: "record_too_large",
    });
    expect(source.pulled).toBeLessThan(60);
    expect(source.closed).toBe(true);
  });

  test.each<Partial<DelimitedSettings>>([
    { recordDelimiter: "" },
    { recordDelimiter: "," },
    { recordDelimiter: '~"' },
    { recordDelimiter: "|\n", delimiter: "|" },
    { recordDelimiter: "~", delimiter: "|~|" },
    { comment: "" },
    { comment: '"#' },
    { comment: ",#" },
    { comment: "#\n" },
    { comment: "#~", recordDelimiter: "~" },
  ])("settings that cut no file: %j", (settings) => {
    expect(() => parseDelimited({ ...COMMA, ...settings })).toThrow("delimited text");
  });
});

test("a file cut off anywhere gives the rows before, and a fault or an error where it must", async () => {
  const text = Buffer.from('#é~~a,b~~1,"x~~"~~#c~~2,é~~');
  const whole = await read(text, LINES);
  for (let end = 0; end < text.length; end++) {
    const seen = await outcome(text.subarray(0, end), LINES);
    if (!(typeof seen === "object" && seen !== null && "rows" in seen)) {
      expect(seen).toMatchObject({ coordinate: { byteOffset: expect.any(Number) } });
      continue;
    }
    const { names, rows } = seen as Table;
    if (end >= Buffer.byteLength("#é~~a,b~~")) expect(names).toEqual(whole.names);
    // All but the last record, which may have lost some of itself.
    expect(rows.slice(0, -1)).toEqual(whole.rows.slice(0, Math.max(0, rows.length - 1)));
  }
});

test("many windows and blocks of it come out as they went in", async () => {
  const lines = Array.from({ length: 9000 }, (_, i) =>
    i % 1000 === 0
      ? `${i},"${"é~~\n".repeat(9000)}"~~`
      : `${i},naïve 名 ${i}~~${i % 3 ? "" : "#c~~"}`,
  );
  const table = await read(`n,t~~${lines.join("")}`, LINES, {}, 50_000);
  let at = 5;
  const offsets = lines.map((line) => {
    const start = at;
    at += Buffer.byteLength(line);
    return start;
  });
  expect(table.byteOffsets).toEqual(offsets);
  expect(table.rows.map(([n]) => n)).toEqual(lines.map((_, i) => `${i}`));
  expect(table.faults).toEqual([]);
});
