import { createHash } from "node:crypto";
import { StageError } from "@sluice/errors";
import type { Block, WantedField, XmlSettings } from "@sluice/schema";
import { UNCOUNTED } from "@sluice/streams";
import { chunked } from "@sluice/streams/testing";
import fc from "fast-check";
import { SaxesParser } from "saxes";
import { describe, expect, test } from "vitest";
import { createBlockBuilder, takeBlock } from "../src/blocks/block-builder.ts";
import { parserMemory } from "../src/blocks/held-memory.ts";
import { UTF_8 } from "../src/encoding/charset.ts";
import { createFastRecords, type FastRecords } from "../src/xml/fast-records.ts";
import { fillByBytes } from "../src/xml/fill-by-bytes.ts";
import { NAME_PATTERN } from "../src/xml/known-names.ts";
import { XML_LIMITS, type XmlLimits } from "../src/xml/limits.ts";
import { createNames } from "../src/xml/names.ts";
import { createOpenElements } from "../src/xml/open-elements.ts";
import { parseXml } from "../src/xml/parse-xml.ts";
import { toRecordPath } from "../src/xml/record-path.ts";
import { createRecordReader } from "../src/xml/record-reader.ts";
import { createRowSink } from "../src/xml/row-sink.ts";
import { createRows } from "../src/xml/rows.ts";
import { ROW, type Wanted, wanted } from "./xml-document.ts";

interface Reading {
  readonly fields: readonly Wanted[];
  readonly settings?: Partial<XmlSettings>;
  readonly limits?: Partial<XmlLimits>;
  readonly size?: number;
}

/** All that comes out of a document: blocks as they are, and the findings or the error. */
interface Outcome {
  readonly blocks: readonly Block[];
  readonly end: unknown;
}

async function run(file: Uint8Array, reading: Reading, isFast: boolean): Promise<Outcome> {
  const { fields, settings, limits, size = 1 << 20 } = reading;
  const parse = parseXml({ ...ROW, ...settings }, wanted(fields), { ...limits, isFast });
  const blocks: Block[] = [];
  try {
    const parsed = await parse(chunked(file, size));
    for await (const block of parsed.blocks) blocks.push(block);
    return { blocks, end: parsed.findings?.() };
  } catch (error) {
    if (!(error instanceof StageError)) throw error;
    const { code, rawMessage, coordinate, seen, expected } = error;
    return { blocks, end: { code, rawMessage, coordinate, seen, expected } };
  }
}

/** One line for each block, and the end: arrays of numbers are slow to compare. */
function digests({ blocks, end }: Outcome): string[] {
  const lines = blocks.map(({ columns, byteOffsets, ...rest }) => {
    const hash = createHash("sha1").update(JSON.stringify(rest)).update(byteOffsets);
    for (const { offsets, data, validity, nullCount } of columns) {
      hash.update(`${nullCount}`).update(offsets).update(data);
      if (validity !== undefined) hash.update(validity);
    }
    return hash.digest("hex");
  });
  return [...lines, JSON.stringify(end)];
}

const OUTSIDE = "text outside of the root element";

async function assertAlike(file: Uint8Array, reading: Reading, label = ""): Promise<void> {
  const [fast, slow] = [await run(file, reading, true), await run(file, reading, false)];
  // Text outside of the root with a forbidden character in it has two faults, either of which may be told.
  if (JSON.stringify([fast.end, slow.end]).includes(OUTSIDE)) {
    expect([fast.end, slow.end], label).toMatchObject([
      { code: "malformed" },
      { code: "malformed" },
    ]);
    expect(fast.blocks, label).toEqual(slow.blocks);
  } else if (digests(fast).join() !== digests(slow).join()) {
    expect(fast, label).toEqual(slow);
    expect(digests(fast), label).toEqual(digests(slow));
  }
}

/** How many of a document's rows are made in WebAssembly, how many records only marked there, and how often it was left. */
async function fastRows(
  file: Uint8Array,
  fields: readonly Wanted[],
  explodePath = "",
): Promise<{ taken: number; marked: number; left: number }> {
  const names = createNames();
  const path = toRecordPath("row");
  const limits = XML_LIMITS;
  const elements = createOpenElements(names);
  const list: readonly WantedField[] = wanted(fields);
  const rows = createRows(list, explodePath, names, limits);
  const reader = createRecordReader(UTF_8, path, names, elements, limits);
  const block = createBlockBuilder(list.length);
  const sink = createRowSink(rows, reader, block, limits);
  const reading = { rows, names, elements, path, limits };
  const fast = createFastRecords(reading, block, sink.maxRows);
  const counts = { taken: 0, marked: 0, left: 0 };
  const counted: FastRecords = Object.create(fast, {
    take: {
      value: (...given: Parameters<FastRecords["take"]>) => {
        const answer = fast.take(...given);
        counts.taken += fast.taken;
        if (answer === "left") counts.left++;
        else if (typeof answer === "object") counts.marked++;
        return answer;
      },
    },
  });
  const account = { memory: parserMemory(UNCOUNTED), onRoot: () => {} };
  for await (const _ of fillByBytes(chunked(file, 65_536), counted, path, sink, account)) {
    takeBlock(block);
  }
  fast.close();
  return counts;
}

const TEXTS = [
  "",
  "x",
  "7",
  "a text that is longer than sixteen bytes, and longer than thirty-two",
  "é ü 漢字 😀",
  " ",
  "\r\n  ",
  " padded ",
  "a\r\nb\rc\n",
  "a &amp; b &lt;c&gt; &quot;d&quot; &apos;",
  "&#233;&#x6f22;&#x1F600;&#65;&#x9;&#13;&#10;",
  "0123456789abcde&amp;",
  "> ] ]] ]>",
  "<![CDATA[<raw> & \r\n ]] > text]]>",
  "<![CDATA[]]>",
  "<![CDATA[]]]]>",
  "x<![CDATA[ ]]>y",
  " <!-- c --> ",
  "x<!-- - > -->y",
  "x<!-- c --> <b/>",
  " <!-- c --><b>1</b>",
  "<c/><![CDATA[x]]> <b/> y<!-- c --> ",
  "<b>1</b>",
  "<b>1</b><b>2</b>",
  "<b x='1'>2</b> <c/>",
  " mixed <b>1</b> text ",
  "<b><c>deep</c></b>",
  "<?do this?>",
  "<b xmlns:i='http://www.w3.org/2001/XMLSchema-instance' i:nil='true'/>",
  "<b xsi:nil='1'>x</b>",
  "\u0085\u2028\ud7ff\ue000\ufffd\u007f",
];
const BROKEN = [
  "&",
  "&nbsp;",
  "&#0;",
  "&#xD800;",
  "&#x110000;",
  "&#xFFFE;",
  "&#X41;",
  "&#00000065;",
  "&amp",
  "]]>",
  "<!-- -- -->",
  "<!--->-->",
  "<!x>",
  "<![cdata[]]>",
  "<b>",
  "</b>",
  "<b></c>",
  "<b x=1/>",
  "<b x='1' x='2'/>",
  "<b x='<'/>",
  "<b x='1'y='2'/>",
  "<b x/>",
  "< b/>",
  "<b / >",
  "<1/>",
  "<b\u00d7/>",
  "</>",
  "\u0001",
  "\ufffe",
  "\uffff",
  "\0",
  "<?xml version='1.0'?>",
  "<!DOCTYPE r>",
];
const NAMES = ["a", "b", "A", "p:a", "long-name.of_24-letters.x", "é", "名", "items", "x", "_"];
const ATTRIBUTES = [
  "",
  "",
  " id='1'",
  ' id="a &lt; \r\n\t b" a=""',
  "\n x = 'é' ",
  " p:id='2' A='3'",
  " xsi:nil='true'",
  " xmlns='u'",
];
const TAILS = ["", "", "\n", "\r\n", " ", "<!-- between -->", "text", "<other><a>1</a></other>"];

const text = fc.nat({ max: TEXTS.length - 1 });
/** Records that look like one another, but for an element here and there. */
const documents = fc
  .tuple(
    fc.array(fc.tuple(fc.constantFrom(...NAMES), text, fc.constantFrom("", "", "\r\n  ")), {
      minLength: 1,
      maxLength: 5,
    }),
    fc.constantFrom(...ATTRIBUTES),
    fc.array(
      fc.record({
        change: fc.oneof(
          { weight: 8, arbitrary: fc.constant("none") },
          {
            weight: 1,
            arbitrary: fc.constantFrom("leave out", "twice", "swap", "name", "attribute", "group"),
          },
        ),
        isBroken: fc.nat({ max: 59 }).map((chance) => chance === 0),
        at: fc.nat({ max: 4 }),
        texts: fc.array(text, { maxLength: 5 }),
        bad: fc.constantFrom(...BROKEN),
        tail: fc.constantFrom(...TAILS),
        attributes: fc.constantFrom(...ATTRIBUTES),
      }),
      { minLength: 1, maxLength: 30 },
    ),
    fc.constantFrom("<rows>", "<?xml version='1.0'?>\r\n<!-- x --><rows a='1'>\n", "\ufeff<rows>"),
    fc.constantFrom("</rows>", "\n</rows>\n<!-- end -->", "</rows >x", "</row>", ""),
  )
  .map(([shape, head, changes, before, behind]) => {
    const written = changes.map(({ change, isBroken, at, texts, bad, tail, attributes }) => {
      const members = shape.map(([name, value, space], i) => ({
        name,
        value: TEXTS[texts[i] ?? value] ?? "",
        space,
        attributes: "",
      }));
      const member = members[at % members.length];
      if (member === undefined) return "";
      if (change === "leave out") members.splice(at % members.length, 1);
      else if (change === "twice") members.push(member);
      else if (change === "swap") members.reverse();
      else if (change === "name") member.name = `new${at}`;
      else if (change === "attribute") member.attributes = attributes;
      if (isBroken) member.value += bad;
      const inner = members.map(({ name, value, space, attributes: own }) =>
        value === "" && own !== ""
          ? `${space}<${name}${own}/>`
          : `${space}<${name}${own}>${value}</${name}>`,
      );
      const record = inner.length === 0 ? `<row${head}/>` : `<row${head}>${inner.join("")}</row>`;
      return `${change === "group" ? `<group>${record}${record}</group>` : record}${tail}`;
    });
    return before + written.join("") + behind;
  });

const FIELDS: readonly (readonly Wanted[])[] = [
  ["a", "b", "@id"],
  ["a", ["c", "a.b"], ["t", "#text"]],
  ["p:a", "A", "missing"],
  [["t", "a.#text"], ["bt", "b.#text"], ["x", "a.@x"], "é"],
  [
    ["first", "a[0]"],
    ["c", "a.b.c"],
  ],
  [["whole", ""], "a"],
  [
    ["one", "a"],
    ["two", "a"],
  ],
  [["deep", "items.b.c"], ["all", "items"], "long-name.of_24-letters.x"],
  [["leaf", "a.b"], ["x", "a.b.@x"], ["y", "@a"], "名", "_"],
  [],
];

const LIMITS = fc.record({
  maxDepth: fc.constantFrom(3, 4, 256),
  maxAttributes: fc.constantFrom(1, 2, 1000),
  maxNameBytes: fc.constantFrom(4, 24, 1024),
  maxTextLength: fc.constantFrom(30, 80, 10_000),
  maxRecordBytes: fc.constantFrom(40, 120, 10_000),
  maxMembers: fc.constantFrom(2, 4, 1000),
  maxRowBytes: fc.constantFrom(5, 30, 10_000),
  maxExplodedBytes: fc.constantFrom(10, 10_000),
});
const BLOCKS = fc.record({
  maxBlockRows: fc.constantFrom(1, 2, 7, 100),
  maxBlockBytes: fc.constantFrom(10, 60, 100_000),
});

describe("records taken in WebAssembly", () => {
  test("give the same blocks, findings and errors as by saxes", async () => {
    await fc.assert(
      fc.asyncProperty(
        documents,
        fc.constantFrom(...FIELDS),
        fc.constantFrom("", "", "", "a", "items.b"),
        fc.constantFrom("row", "row", "rows.row", "rows.group.row", "p:a"),
        fc.option(LIMITS, { freq: 3, nil: undefined }),
        BLOCKS,
        fc.oneof(fc.integer({ min: 1, max: 200 }), fc.constant(100_000)),
        fc.option(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), {
          freq: 4,
          nil: undefined,
        }),
        async (document, fields, explodePath, rowElement, limits, blocks, size, change) => {
          const file = Buffer.from(document);
          if (change !== undefined) file[change[0] % file.length] = change[1];
          const settings = { explodePath, rowElement };
          await assertAlike(file, { fields, settings, limits: { ...limits, ...blocks }, size });
        },
      ),
      { numRuns: 3000, seed: 20_260_101 },
    );
  }, 120_000);

  test("for each text at each place, whatever fields there are", async () => {
    for (const [number, fields] of FIELDS.entries()) {
      for (const one of TEXTS) {
        const record = `<row id='0'>${one}<a>${one}</a><b x='1'>${one}</b><items><b>${one}</b></items></row>\n`;
        const apart = [
          `<row>${one}<a>1</a></row>`,
          `<row><a>${one}</a></row>`,
          `<row><a x='2'>${one}</a></row>`,
          `<row><items>${one}<b/></items></row>`,
        ];
        // Twice: findings have to know a name before records with it are taken.
        const all = `<rows>${record.repeat(2)}${apart.join("").repeat(2)}</rows>`;
        await assertAlike(Buffer.from(all), { fields }, `${number}: ${one}`);
      }
    }
  });

  const SMALL =
    "<r>\r\n<row id='1'>\n<a>x&amp;é</a><b y=\"&#9;\">\r<![CDATA[]]]]></b></row>\n<row id='2'><a/><b>2</b></row ><!--c--><row id='3'><a >]]&gt;😀</a ></row>\n</r>\n";
  const SMALL_FIELDS: readonly Wanted[] = ["@id", "a", ["b", "b.#text"], ["y", "b.@y"]];

  test("whatever bytes the chunks end behind", async () => {
    const file = Buffer.from(SMALL);
    const whole = await run(file, { fields: SMALL_FIELDS }, false);
    for (let at = 1; at < file.length; at++) {
      const parse = parseXml(ROW, wanted(SMALL_FIELDS));
      async function* two(): AsyncGenerator<Uint8Array> {
        yield file.subarray(0, at);
        yield file.subarray(at);
      }
      const parsed = await parse(two());
      const blocks = await Array.fromAsync(parsed.blocks);
      expect({ blocks, end: parsed.findings?.() }, `cut at ${at}`).toEqual(whole);
    }
    for (let size = 1; size < 40; size++) await assertAlike(file, { fields: SMALL_FIELDS, size });
  });

  test("of a document that ends at any byte", async () => {
    const file = Buffer.from(SMALL);
    for (let end = 0; end < file.length; end++) {
      for (const size of [5, 10_000]) {
        await assertAlike(file.subarray(0, end), { fields: SMALL_FIELDS, size }, `${end} bytes`);
      }
    }
  });

  test("of a document with any byte changed, left out or added", async () => {
    const file = Buffer.from(SMALL);
    const bytes = Buffer.from("<>&;'\"/=!?-[]# \r\n\0\x01ax\x7f\x80\xbf\xc3\xef\xf0\xff", "latin1");
    for (let at = 3; at < file.length; at++) {
      const [before, behind] = [file.subarray(0, at), file.subarray(at)];
      await assertAlike(Buffer.concat([before, behind.subarray(1)]), { fields: SMALL_FIELDS });
      for (const byte of bytes) {
        const label = `byte ${byte} at ${at}`;
        const changed = Buffer.concat([before, Buffer.of(byte), behind.subarray(1)]);
        await assertAlike(changed, { fields: SMALL_FIELDS }, label);
        const added = Buffer.concat([before, Buffer.of(byte), behind]);
        await assertAlike(added, { fields: SMALL_FIELDS }, label);
      }
    }
  }, 120_000);

  test.each(BROKEN)("with %j in a text or between records", async (bad) => {
    for (const at of [
      (x: string) => `<r><row><a>1</a></row>\n<row><a>é\n${x}</a></row><row/></r>`,
      (x: string) => `<r><row><a>1</a></row>\n<row><a>é</a><b\n/>${x}</row><row/></r>`,
      (x: string) => `<r><row><a>1</a></row>\r<row/>\r\n${x}<row/></r>`,
      (x: string) => `<r><row><a>1</a></row>\r<row c='é\n${x}'/></r>`,
    ]) {
      for (const size of [1, 4, 10_000]) {
        await assertAlike(Buffer.from(at(bad)), { fields: ["a", "@c"], size });
      }
    }
  });

  test("over mebibytes, in any chunks, with records larger than what is held at once", async () => {
    const record = (i: number): string =>
      `<row id="${i}"><name>${"n".repeat(i % 300)}</name>${i % 7 === 0 ? "" : `<x>${"é".repeat(i % 90)}</x>\r\n`}${"<i>1</i>".repeat(i % 4)}<deep><y>${i === 5000 ? "z".repeat(600_000) : "&lt;"}</y></deep></row>${i % 1000 === 0 ? "<meta>x</meta>" : "\n"}`;
    const records = Array.from({ length: 20_000 }, (_, i) => record(i)).join("");
    const file = Buffer.from(`<rows>${records}</rows>`);
    const fields: Wanted[] = ["@id", "name", "x", ["y", "deep.y"], "missing"];
    for (const size of [65_536, 1_000_003]) {
      for (const explodePath of ["", "i"]) {
        const reading = { fields, settings: { explodePath }, size };
        const fast = digests(await run(file, reading, true));
        expect(fast.length).toBeGreaterThan(3);
        expect(fast).toEqual(digests(await run(file, reading, false)));
      }
    }
  }, 60_000);

  test("for names that saxes takes, and no others", () => {
    const isName = (name: string): boolean => {
      try {
        new SaxesParser().write(`<${name}/>`).close();
        return true;
      } catch {
        return false;
      }
    };
    for (
      let code = 0x21;
      code < 0x11_0000;
      code += code < 0x3000 ? 1 : code < 0x1_0100 ? 7 : 4099
    ) {
      if (code >= 0xd800 && code < 0xe000) continue;
      const character = String.fromCodePoint(code);
      // These end a name, and the tag goes on.
      if ("/>=".includes(character)) continue;
      for (const name of [character, `a${character}`]) {
        expect(NAME_PATTERN.test(name), `U+${code.toString(16)}`).toBe(isName(name));
      }
    }
    for (const code of [
      0xd7ff, 0xe000, 0xf8ff, 0xf900, 0xfdcf, 0xfdd0, 0xfdf0, 0xfffd, 0x1_0000, 0xe_ffff, 0xf_0000,
    ]) {
      const character = String.fromCodePoint(code);
      expect(NAME_PATTERN.test(character), `U+${code.toString(16)}`).toBe(isName(character));
    }
  });
});

describe("records are taken in WebAssembly", () => {
  const of = (record: string): Buffer => Buffer.from(`<rows>${record.repeat(5000)}</rows>`);

  test.each<[string, readonly Wanted[]]>([
    ["<row><a>1</a><b>x &amp; y</b></row>\n", ["a", "b"]],
    ["<row>\r\n  <a>1</a>\r\n  <b><![CDATA[<é>]]></b>\r\n</row>", ["a", "b"]],
    ["<row id='1' name=\"a&#10;b\"/>", ["@id", "@name", "other"]],
    ["<row id='1'>text</row>", ["@id", "#text"]],
    [
      "<row><a><b x='1'>2</b></a><c/><c/><d><e/></d></row>",
      [
        ["b", "a.b.#text"],
        ["x", "a.b.@x"],
      ],
    ],
  ])("all of %j", async (record, fields) => {
    const { taken, marked } = await fastRows(of(record), fields);
    expect(taken + marked).toBe(5000);
    expect(marked).toBeLessThan(3);
  });

  test("but for one that is read as a tree, where a cell is more than a text", async () => {
    const file = of("<row><a>1</a></row><row><a>1</a><a>2</a></row>");
    expect(await fastRows(file, ["a"])).toMatchObject({ taken: 4999, marked: 5001, left: 1 });
    expect(await fastRows(file, ["a"], "a")).toMatchObject({ taken: 0, marked: 10_000, left: 1 });
  });

  test("and few are tried where saxes has to read most", async () => {
    const { taken, marked, left } = await fastRows(of("<row><?pi?><a>1</a></row>"), ["a"]);
    expect(taken + marked).toBe(0);
    expect(left).toBeLessThan(200);
  });
});
