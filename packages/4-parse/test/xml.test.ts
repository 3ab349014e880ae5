import type { Block } from "@sluice/schema";
import { stageContract } from "@sluice/streams/testing";
import { describe, expect, test } from "vitest";
import { parseXml } from "../src/xml/parse-xml.ts";
import { ROW, readXml, type Wanted, wanted } from "./xml-document.ts";

const SAMPLE = `\ufeff<?xml version='1.0' encoding="utf-8"?>\r\n<!-- <!DOCTYPE x> -->\n<rows>${Array.from(
  { length: 60 },
  (_, i) =>
    `<row id="${i}">\r\n<a>é${i}&amp;</a><b><![CDATA[<𝄞]]>\n</b>${i % 3 ? "<c x='1'/>" : ""}<c/></row>`,
).join("<?skip me?>")}</rows>\n`;

stageContract<Block>({
  name: "parseXml",
  stage: async function* (source) {
    const fields = wanted(["@id", "a", "b", "c"]);
    yield* (await parseXml(ROW, fields, { maxBlockRows: 7 })(source)).blocks;
  },
  sample: Buffer.from(SAMPLE),
  collect: (blocks) => blocks,
  empty: { code: "malformed" },
  limited: {
    stage: async function* (source) {
      yield* (await parseXml(ROW, wanted(["a"]), { maxRecordBytes: 60 })(source)).blocks;
    },
    code: "record_too_large",
  },
});

/** The one row of a document of one record. */
async function cells(record: string, fields: readonly Wanted[]): Promise<(string | null)[]> {
  const { rows } = await readXml(`<rows>${record}</rows>`, fields);
  expect(rows.length).toBe(1);
  return [...(rows[0] ?? [])];
}

describe("parseXml finds records", () => {
  test("by a name wherever it stands, but not inside of a record", async () => {
    const text =
      "<x><row><a>1</a><row><a>inner</a></row></row><y><row><a>2</a></row></y><Row><a>3</a></Row></x>";
    expect((await readXml(text, ["a", ["inner", "row.a"]])).rows).toEqual([
      ["1", "inner"],
      ["2", null],
    ]);
  });

  test("by a path from the root", async () => {
    const text =
      "<orders><order><a>1</a></order><old><order><a>no</a></order></old><order><a>2</a></order></orders>";
    const path = await readXml(text, ["a"], { rowElement: "orders.order" });
    expect(path.rows).toEqual([["1"], ["2"]]);
    expect((await readXml(text, ["a"], { rowElement: "orders.old.order" })).rows).toEqual([["no"]]);
    expect((await readXml(text, ["a"], { rowElement: "order" })).rows.length).toBe(3);
  });

  test("that are the root itself, and those with a prefix", async () => {
    expect((await readXml("<row a='1'/>", ["@a"])).rows).toEqual([["1"]]);
    const text = "<r><p:row a='1'/><row a='2'/><q:row a='3'/><prow a='4'/></r>";
    expect((await readXml(text, ["@a"])).rows).toEqual([["1"], ["2"], ["3"]]);
    expect((await readXml(text, ["@a"], { rowElement: "p:row" })).rows).toEqual([["1"]]);
  });

  test("none in a document without elements, and warns with the root's name", async () => {
    const { rows, findings } = await readXml("<Rows> </Rows>", ["a"]);
    expect(rows).toEqual([]);
    expect(findings).toEqual({
      absent: [0],
      extra: [],
      warnings: ["no element is a record by rowElement row; the root is Rows"],
    });
  });

  test("or refuses a document of other elements, which would pass for an empty one", async () => {
    await expect(readXml("<Rows><Row/></Rows>", ["a"])).rejects.toMatchObject({
      code: "malformed",
      rawMessage: expect.stringContaining("rowElement is row, the root Rows holds Row"),
      seen: "Rows.Row",
      expected: "row",
    });
  });

  test("and gives each its number and the byte its start tag begins at", async () => {
    const text =
      "\ufeff<?xml version='1.0'?> <r>é<!-- 名 --><row\r\n a='𝄞'/>\r\n<row></row>é<row/></r>";
    const bytes = Buffer.from(text);
    const table = await readXml(bytes, ["@a"]);
    expect(table.rowNumbers).toEqual([1, 2, 3]);
    const offsets = [...text.matchAll(/<row/g)].map(
      ({ index }) => Buffer.from(text.slice(0, index)).byteLength,
    );
    expect(table.byteOffsets).toEqual(offsets);
  });
});

describe("parseXml reads a record as it would a JSON record", () => {
  test("child elements by name, attributes by @name, the text beside them as #text", async () => {
    const record = "<row id='7'> mixed <a>1</a><b c='2'>3</b></row>";
    const fields = [
      "@id",
      "a",
      "#text",
      ["c", "b.@c"],
      ["b", "b.#text"],
      ["a2", "a.#text"],
    ] as const;
    expect(await cells(record, fields)).toEqual(["7", "1", " mixed ", "2", "3", "1"]);
  });

  test("empty elements as the empty text, absent ones and those with xsi:nil as null", async () => {
    const record =
      "<row xmlns:i='http://www.w3.org/2001/XMLSchema-instance'><a/><b></b><c xsi:nil='true'/>" +
      "<d i:nil=' 1 ' y='2'/><e xsi:nil='false'>x</e></row>";
    const fields = ["a", "b", "c", "d", ["y", "d.@y"], "e", "f", ["g", "c.#text"]] as const;
    expect(await cells(record, fields)).toEqual(["", "", null, null, "2", "x", null, null]);
  });

  test("a nested element taken whole as JSON text, null and lists inside", async () => {
    const record =
      '<row><n a="x&quot;"><s>1</s><t/><u xsi:nil="true"/><v>1</v><v k="2">3</v><w>\u0001</w></n></row>'.replace(
        "\u0001",
        "\n",
      );
    const [text] = await cells(record, ["n"]);
    expect(text).toBe(
      '{"@a":"x\\"","s":"1","t":"","u":null,"v":["1",{"@k":"2","#text":"3"}],"w":"\\n"}',
    );
  });

  test("a repeated element as the JSON array of all, by index as one", async () => {
    const record = "<row><i>1</i><x/><i>2</i><i/><j><k>3</k></j></row>";
    const fields = [
      "i",
      ["i0", "i[0]"],
      ["i2", "i[2]"],
      ["i3", "i[3]"],
      ["j0", "j[0].k[0]"],
    ] as const;
    expect(await cells(record, fields)).toEqual(['["1","2",""]', "1", "", null, "3"]);
  });

  test("a path through a repeated element as the JSON array of what each has", async () => {
    const record =
      "<row><i><s>1</s></i><i/><i><s>2</s><s>3</s></i><i s='4'><s xsi:nil='1'/></i></row>";
    const fields = [
      ["s", "i.s"],
      ["a", "i.@s"],
      ["none", "i.z"],
      ["s20", "i[2].s[0]"],
    ] as const;
    expect(await cells(record, fields)).toEqual([
      '["1",null,["2","3"],null]',
      '[null,null,null,"4"]',
      null,
      "2",
    ]);
  });

  test("names without regard to case, an exact one first, and without a prefix", async () => {
    const record = "<row><ID>1</ID><p:id>2</p:id><id>3</id><q:Name>4</q:Name><x:A p:b='5'/></row>";
    const fields = ["id", "Id", "p:id", "P:ID", "name", "q:name", "r:name", ["b", "a.@b"]] as const;
    expect(await cells(record, fields)).toEqual(["3", "1", "2", "2", "4", "4", null, "5"]);
  });

  test("CDATA, XML's entities and character references; line ends as XML has them", async () => {
    const record =
      "<row a='x&#10;y\r\nz'><t>1&lt;<![CDATA[<&amp;]]]]><![CDATA[>]]>&#x1D11E;&#233;&quot;&apos;&gt;\r\n\r</t></row>";
    expect(await cells(record, ["t", "@a"])).toEqual(["1<<&amp;]]>𝄞é\"'>\n\n", "x\ny z"]);
  });

  test("text around child elements without what is only white between two tags", async () => {
    const record =
      "<row><m>\n  <b>1</b>\n  </m><n> x <b/> <b/> y<!-- c --> </n><o>  </o><p> <![CDATA[ ]]> </p></row>";
    expect(await cells(record, ["m", "n", "o", "p"])).toEqual([
      '{"b":"1"}',
      '{"b":["",""],"#text":" x  y "}',
      "  ",
      "   ",
    ]);
  });

  test("hostile names as plain names", async () => {
    const names = [
      "__proto__",
      "constructor",
      "toString",
      "hasOwnProperty",
      "ключ",
      "名",
      "a.b",
      "a-b",
    ];
    const record = `<row ${names.map((name, i) => `${name}='a${i}'`).join(" ")}>${names
      .map((name, i) => `<${name}>${i}</${name}>`)
      .join("")}</row>`;
    expect(await cells(record, [...names, ...names.map((name) => `@${name}`)])).toEqual([
      ...names.map((_, i) => `${i}`),
      ...names.map((_, i) => `a${i}`),
    ]);
    expect(({} as { x?: unknown }).x).toBeUndefined();
    expect(await cells(`<row><o>${"<__proto__><x>1</x></__proto__>"}</o></row>`, ["o"])).toEqual([
      '{"__proto__":{"x":"1"}}',
    ]);
  });

  test("XInclude and schema locations as names like others", async () => {
    const record =
      "<row xmlns:xi='http://www.w3.org/2001/XInclude' xsi:schemaLocation='http://127.0.0.1:1/x.xsd'>" +
      "<xi:include href='file:///etc/passwd'/></row>";
    expect(await cells(record, ["xi:include", "@schemaLocation"])).toEqual([
      '{"@href":"file:///etc/passwd"}',
      "http://127.0.0.1:1/x.xsd",
    ]);
  });

  test("ever new names without keeping them all, the wanted ones as before", async () => {
    const records = Array.from({ length: 9000 }, (_, i) => `<row><n${i}/><a>${i}</a><a/></row>`);
    const { rows, findings } = await readXml(`<r>${records.join("")}</r>`, ["a"], {}, {}, 4096);
    expect(rows).toEqual(records.map((_, i) => [`["${i}",""]`]));
    expect(findings.extra).toEqual(Array.from({ length: 100 }, (_, i) => `n${i}`));
  });
});
