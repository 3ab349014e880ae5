import { describe, expect, test } from "vitest";
import {
  encodingDoubt,
  headerFaults,
  inferDialect,
  inferEncoding,
  inferHeader,
  inferJsonShape,
  inferRowElement,
  jsonText,
  type TryDialect,
} from "../src/index.ts";

const bytes = (text: string, encoding: BufferEncoding = "utf8"): Uint8Array =>
  Buffer.from(text, encoding);

describe("encodings", () => {
  test.each([
    ["ascii", bytes("id,name\n1,Ann\n"), "utf-8"],
    ["UTF-8", bytes("id,name\n1,Jörg\n"), "utf-8"],
    ["UTF-8 cut inside a character", bytes("id,name\n1,Jörg").subarray(0, 12), "utf-8"],
    ["UTF-16 by its mark", bytes("\ufeffid,name\n", "utf16le"), "utf-16le"],
    ["UTF-16 without a mark", bytes("id,name\n1,Ann\n", "utf16le"), "utf-16le"],
    ["UTF-16, big endian", bytes("id,name\n1,Ann\n", "utf16le").toReversed(), "utf-16be"],
    ["Windows-1252", bytes("id,name\n1,J\xf6rg\n", "latin1"), "windows-1252"],
    ["bytes that Windows-1252 has not", bytes("id\x81\xf6", "latin1"), "latin-1"],
  ])("tells %s", (_, head, encoding) => {
    expect(inferEncoding(head, false).value).toBe(encoding);
  });

  test("a whole file that ends inside a character is no UTF-8", () => {
    expect(inferEncoding(bytes("Jö").subarray(0, 2), true).value).toBe("windows-1252");
  });

  test("control characters speak against ISO 8859-1, and letters do not", () => {
    const dos = bytes("id,name\n1,M\x81ller\n", "latin1");
    expect(encodingDoubt(dos, inferEncoding(dos, true).value)).toMatch(/1 bytes .* DOS/);
    expect(encodingDoubt(bytes("J\xf6rg", "latin1"), "latin-1")).toBeUndefined();
    expect(encodingDoubt(dos, "windows-1252")).toBeUndefined();
  });
});

/** Splits at every delimiter outside of quotes, as simple files need it. */
const splitting =
  (text: string): TryDialect =>
  async ({ delimiter, quote, escape: mark }) => {
    const lines = text.split("\n").filter((line) => line !== "");
    const records = lines.map((line) => {
      const fields: string[] = [];
      let field = "";
      let isInside = false;
      for (let at = 0; at < line.length; at++) {
        const here = line.slice(at);
        if (mark !== quote && here.startsWith(mark + quote)) {
          field += quote;
          at++;
        } else if (quote !== "" && here.startsWith(quote)) isInside = !isInside;
        else if (!isInside && here.startsWith(delimiter)) {
          fields.push(field);
          field = "";
          at += delimiter.length - 1;
        } else field += here[0];
      }
      return isInside ? undefined : [...fields, field];
    });
    const width = records[0]?.length;
    const rows = records.flatMap((fields) => (fields?.length === width ? [fields ?? []] : []));
    return { rows, faults: records.length - rows.length };
  };

describe("dialects", () => {
  test.each([
    ["commas", 'id,name\n1,"a, b"\n2,c\n', { delimiter: ",", quote: '"' }],
    ["tabs", "id\tname, full\n1\ta, b\n2\tc\n", { delimiter: "\t" }],
    ["pipes", "id|name|x\n1|a|b\n2|c|d\n", { delimiter: "|" }],
    ["semicolons around decimal commas", "id;paid\n1;2,5\n2;3,5\n", { delimiter: ";" }],
    ["marks of several characters", "id~|~name\n1~|~a\n2~|~b\n", { delimiter: "~|~" }],
    ["single quotes", "id,name\n1,'a, b'\n2,'c'\n", { delimiter: ",", quote: "'" }],
    ["backslashes", 'id,name\n1,"say \\"hi\\", ok"\n2,"b"\n', { delimiter: ",", escape: "\\" }],
    ["one column", "name\nAnn\nBob\n", { delimiter: "," }],
  ])("tells %s", async (_, text, expected) => {
    const { delimiter, quote, escape: mark } = await inferDialect(text, {}, splitting(text));
    const found = { delimiter: delimiter.value, quote: quote.value, escape: mark.value };
    expect(found).toMatchObject(expected);
  });

  test("never tries another delimiter than the given one", async () => {
    const text = "a,b\n1,2\n";
    const { delimiter } = await inferDialect(text, { delimiter: "|" }, splitting(text));
    expect(delimiter.value).toBe("|");
  });
});

describe("header rows", () => {
  test.each<[string, string[][], number]>([
    [
      "names above numbers",
      [
        ["id", "name"],
        ["1", "a"],
      ],
      1,
    ],
    [
      "names above texts",
      [
        ["city", "name"],
        ["Rome", "a"],
      ],
      1,
    ],
    [
      "numbers at once",
      [
        ["1", "a"],
        ["2", "b"],
      ],
      0,
    ],
    [
      "a text twice",
      [
        ["a", "a"],
        ["b", "c"],
      ],
      0,
    ],
    [
      "an empty text",
      [
        ["", "a"],
        ["b", "c"],
      ],
      0,
    ],
    [
      "a text that comes again",
      [
        ["red", "x"],
        ["blue", "y"],
        ["red", "z"],
      ],
      0,
    ],
  ])("are told by %s", (_, rows, expected) => {
    expect(inferHeader(rows).value).toBe(expected);
  });

  test.each<[string, string, string, RegExp | undefined]>([
    ["no name for the last", "id,name,", "1,A,", /column 3 has no name/],
    ["no name for two", "id,,", "1,A,", /columns 2 and 3 have no name/],
    ["one name for two", "id,name,name", "1,A,B", /columns 2 and 3 have one name/],
    ["names that differ in case alone", "ID,id,name", "1,2,A", /columns 1 and 2 have one name/],
    ["good names", "id,name", "1,A", undefined],
  ])("are one above numbers in spite of %s, which is told of", (_, header, row, fault) => {
    const rows = [header, row, row].map((line) => line.split(","));
    expect(inferHeader(rows).value).toBe(1);
    const told = headerFaults(rows[0] ?? []);
    if (fault === undefined) expect(told).toBeUndefined();
    else expect(told).toMatch(fault);
  });

  test("are one above texts behind whose last field a delimiter stands", () => {
    expect(inferHeader(["city,name,", "Rome,a,"].map((line) => line.split(","))).value).toBe(1);
  });

  test("are none where numbers stand in the first record, whatever else does", () => {
    expect(inferHeader(["1,a,", "2,b,"].map((line) => line.split(","))).value).toBe(0);
  });

  test("are less certain of one row than of two", () => {
    const rows = ["id,name", "1,a", "2,b"].map((line) => line.split(","));
    expect(inferHeader(rows.slice(0, 2)).confidence).toBeLessThan(inferHeader(rows).confidence);
  });
});

describe("text that no object begins", () => {
  test.each([
    ["[]", true],
    [" [ ]\n", true],
    ["[1,2,3]", true],
    ['[[1,"a"],\n [2,"b"]]', true],
    ['["a"]\n["b"]\n', true],
    ['[1,2,{"a":tr', false],
    ['[1,"cut \\', false],
  ])("is JSON: %j", (text, isWhole) => {
    expect(jsonText(text, isWhole)?.kind).toBe("json");
  });

  test.each([
    ['callback([{"id":1}]);', true],
    ['/**/ my.$cb ( {"id":1}', false],
    [')]}\',\n[{"id":1}]', true],
    ['while(1);[{"id":1}]', true],
    ['for (;;); {"id":1}', true],
  ])("is JSON in a wrapping that is told: %j", (text, isWhole) => {
    expect(jsonText(text, isWhole)).toMatchObject({ kind: "wrapped" });
  });

  test.each([
    ["[id],{name}\n[1],{x}\n", true],
    ["[1,2],3\n[4,5],6\n", true],
    ["[1,2\n3,4\n", true],
    ["[note] call me\n", false],
    ["name(s),[id]\nx,1\n", true],
    ["id,name\n1,f([2])\n", true],
    ["", true],
  ])("is no JSON: %j", (text, isWhole) => {
    expect(jsonText(text, isWhole)).toBeUndefined();
  });
});

describe("JSON", () => {
  test.each([
    ["an array", '[{"a":1},{"a":2}]', "records", ""],
    ["lines", '{"a":1}\n{"a":2}\n', "lines", ""],
    ["texts one after the other", '{"a":1} {"a":2}', "concatenated", ""],
    ["texts over several lines", '{\n"a":1}\n{\n"a":2}', "concatenated", ""],
    ["an envelope", '{"meta":{"n":2},"data":[{"a":1},{"a":2}]}', "records", "data"],
    ["a deeper one", '{"x":{"data.all":[{"a":[{"b":1}]},{"a":2}]}}', "records", 'x."data.all"'],
    ["one that is cut", '{"data":[{"a":"}]"},{"a":2},{"a":', "records", "data"],
    [
      "one record with a list",
      '{"id":1,"n":"x","t":2,"z":true,"items":[{"a":1},{"a":2}]}',
      "records",
      "",
    ],
  ])("tells %s", (_, text, shape, path) => {
    const found = inferJsonShape(text);
    expect([found.shape.value, found.recordPath.value]).toEqual([shape, path]);
  });
});

describe("XML", () => {
  test.each([
    ["rows", "<rows><row><a>1</a></row><row><a>2</a></row></rows>", "row"],
    ["attributes alone", '<o><c id="1"/><c id="2"/></o>', "c"],
    ["prefixes and comments", "<x:o><!-- <a/><a/> --><x:c><d>1</d></x:c><x:c/></x:o>", "c"],
    ["an envelope", "<r><head><t>1</t></head><list><p><q>1</q></p><p><q>2</q></p></list></r>", "p"],
    [
      "a name that stands elsewhere",
      "<r><b><o><i>1</i></o><o><i>2</i></o></b><c><o>x</o></c></r>",
      "r.b.o",
    ],
    ["one that is cut", "<r><p><q>1</q></p><p><q>2</q></p><p><q", "p"],
  ])("tells the record among %s", (_, text, expected) => {
    expect(inferRowElement(text).value).toBe(expected);
  });
});
