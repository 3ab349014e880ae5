import type { TextEncoding } from "@sluice/schema";
import { describe, expect, test } from "vitest";
import { encode } from "./encode.ts";
import { readXml } from "./xml-document.ts";

const RECORDS = [
  "é<row a='ÿ'>ü</row>",
  "<x>ö</x>\r\n<row>þ</row>",
  "<!--é--><row/>",
  "é<row>\n</row>",
];
const WIDE = ["名<row a='𝄞'>€</row>", "<名>𝄞</名><row>Ÿ</row>", "<?p 𝄞?><row/>", "𝄞<row>\n</row>"];

/** A document's text and what its rows are. */
function document(declaration: string, isWide: boolean): { text: string; offsets: number[] } {
  const text = `${declaration}<r>${[...RECORDS, ...(isWide ? WIDE : [])].join("")}</r>`;
  return { text, offsets: [...text.matchAll(/<row/g)].map(({ index }) => index) };
}

describe("parseXml reads every encoding with exact byte offsets", () => {
  const cases: [string, TextEncoding, string, boolean][] = [
    ["UTF-8 without anything", "utf-8", "", true],
    ["UTF-8 by declaration", "utf-8", "<?xml version='1.0' encoding='utf-8'?>", true],
    ["UTF-8 by mark", "utf-8", "\ufeff", true],
    [
      "UTF-8 by both",
      "utf-8",
      "\ufeff<?xml version='1.0' encoding='UTF-8' standalone='yes'?>",
      true,
    ],
    ["UTF-16LE by mark", "utf-16le", "\ufeff", true],
    ["UTF-16BE by mark", "utf-16be", "\ufeff", true],
    [
      "UTF-16LE by mark and label",
      "utf-16le",
      "\ufeff<?xml version='1.0' encoding='UTF-16'?>",
      true,
    ],
    [
      "UTF-16BE by mark and label",
      "utf-16be",
      "\ufeff<?xml version='1.0' encoding='utf-16'?>",
      true,
    ],
    ["UTF-16LE by its bytes", "utf-16le", "<?xml version='1.0' encoding='UTF-16LE'?>", true],
    ["UTF-16BE by its bytes", "utf-16be", "<?xml version='1.0' encoding='UTF-16'?>", true],
    ["Latin-1", "latin-1", '<?xml version = "1.0"\n encoding = "ISO-8859-1"?>', false],
    ["Windows-1252", "windows-1252", "<?xml version='1.0' encoding='Windows-1252'?>", false],
  ];
  test.each(cases)("%s", async (_, encoding, declaration, isWide) => {
    const { text, offsets } = document(declaration, isWide);
    const bytes = encode(text, encoding);
    for (const size of [1, 2, 3, 5, 100, 10_000]) {
      const table = await readXml(bytes, ["@a", "#text"], {}, {}, size);
      expect(table.byteOffsets).toEqual(
        offsets.map((at) => encode(text.slice(0, at), encoding).byteLength),
      );
      expect(table.rows).toEqual([
        ["ÿ", "ü"],
        [null, "þ"],
        [null, ""],
        [null, "\n"],
        ...(isWide
          ? [
              ["𝄞", "€"],
              [null, "Ÿ"],
              [null, ""],
              [null, "\n"],
            ]
          : []),
      ]);
    }
  });

  test("Windows-1252 beyond Latin-1, and US-ASCII", async () => {
    const text = "<?xml version='1.0' encoding='cp1252'?><row>€“Ÿ</row>";
    expect((await readXml(encode(text, "windows-1252"), ["#text"])).rows).toEqual([["€“Ÿ"]]);
    const ascii = "<?xml version='1.0' encoding='US-ASCII'?><row>a&#233;</row>";
    expect((await readXml(ascii, ["#text"])).rows).toEqual([["aé"]]);
  });

  test("over many pieces, with long texts and few letters of one byte", async () => {
    const records = Array.from(
      { length: 3000 },
      (_, i) => `<row><a>${"名𝄞é".repeat(i % 200)}${i}</a></row>${i % 7 ? "" : "é\r\n"}`,
    );
    const text = `<r>${records.join("")}</r>`;
    const starts = [...text.matchAll(/<row/g)].map(({ index }) => index);
    for (const encoding of ["utf-8", "utf-16be"] as const) {
      const whole = encode(`\ufeff${text}`, encoding);
      const table = await readXml(whole, ["a"], {}, {}, 100_000);
      let at = 0;
      let bytes = encode("\ufeff", encoding).byteLength;
      expect(table.byteOffsets).toEqual(
        starts.map((start) => {
          bytes += encode(text.slice(at, start), encoding).byteLength;
          at = start;
          return bytes;
        }),
      );
    }
  });
});

describe("parseXml refuses an encoding", () => {
  const declared = (label: string): string => `<?xml version='1.0' encoding='${label}'?><row/>`;
  test.each([
    ["UTF-7", declared("UTF-7"), "UTF-7"],
    ["Shift_JIS", declared("Shift_JIS"), "Shift_JIS"],
    ["EBCDIC's label", declared("IBM037"), "IBM037"],
    ["UCS-4's label", declared("ISO-10646-UCS-4"), "ISO-10646-UCS-4"],
    ["a label that is none", declared("x\x1b[31m,"), "x??31m?"],
  ])("it does not know: %s, by its name", async (_, text, name) => {
    const failed = readXml(text, ["a"]);
    await expect(failed).rejects.toMatchObject({
      code: "bad_encoding",
      seen: name,
      coordinate: { byteOffset: 0 },
    });
    await expect(failed).rejects.toThrow("write the file as UTF-8");
  });

  test.each([
    ["UTF-32LE by its mark", Buffer.of(0xff, 0xfe, 0, 0, 0x3c, 0, 0, 0), "UTF-32LE"],
    ["UTF-32BE by its mark", Buffer.of(0, 0, 0xfe, 0xff, 0, 0, 0, 0x3c), "UTF-32BE"],
    ["UTF-32LE by its bytes", Buffer.of(0x3c, 0, 0, 0, 0x3f, 0, 0, 0), "UTF-32LE"],
    ["UTF-32BE by its bytes", Buffer.of(0, 0, 0, 0x3c, 0, 0, 0, 0x3f), "UTF-32BE"],
    ["EBCDIC by its bytes", Buffer.of(0x4c, 0x6f, 0xa7, 0x94, 0x93), "EBCDIC"],
    ["UTF-7 by its bytes", Buffer.from("+ADw-row/+AD4-"), "UTF-7"],
  ])("it does not read: %s", async (_, bytes, seen) => {
    await expect(readXml(bytes, ["a"])).rejects.toMatchObject({ code: "bad_encoding", seen });
  });

  test.each<[string, Buffer]>([
    ["UTF-16 over ASCII", encode(declared("UTF-16"), "utf-8")],
    ["UTF-8 over UTF-16", encode(declared("UTF-8"), "utf-16le")],
    ["UTF-16LE over UTF-16BE", encode(`\ufeff${declared("UTF-16LE")}`, "utf-16be")],
    ["Latin-1 over UTF-8's mark", encode(`\ufeff${declared("ISO-8859-1")}`, "utf-8")],
    ["Latin-1 over UTF-16", encode(`\ufeff${declared("ISO-8859-1")}`, "utf-16be")],
    [
      "Latin-1 behind more than a kilobyte of blanks",
      encode(`<?xml version='1.0'${" ".repeat(2000)}encoding='ISO-8859-1'?><row/>`, "utf-8"),
    ],
  ])("that its bytes contradict: %s", async (_, bytes) => {
    await expect(readXml(bytes, ["a"])).rejects.toMatchObject({
      code: "bad_encoding",
      expected: expect.any(String),
      seen: expect.any(String),
    });
  });

  test.each<[string, string, number[], TextEncoding]>([
    ["a byte above ASCII", "<?xml version='1.0' encoding='ascii'?>", [0xe9], "utf-8"],
    ["an undefined byte", "<?xml version='1.0' encoding='windows-1252'?>", [0x9d], "utf-8"],
    ["Latin-1 without a label", "", [0xe9], "utf-8"],
    ["an overlong form", "", [0xc0, 0xbc], "utf-8"],
    ["a surrogate in UTF-8", "", [0xed, 0xa0, 0x80], "utf-8"],
    ["a lone surrogate", "\ufeff", [0x00, 0xdc], "utf-16le"],
    ["a high surrogate alone", "\ufeff", [0xd8, 0x34], "utf-16be"],
  ])(
    "where a byte is no character: %s, with row and byte offset",
    async (_, head, bad, encoding) => {
      const before = encode(`${head}<r><row/><row>`, encoding);
      const bytes = Buffer.concat([before, Buffer.from(bad), encode("x</row></r>", encoding)]);
      for (const size of [1, 2, 7, 1000]) {
        await expect(readXml(bytes, ["a"], {}, {}, size)).rejects.toMatchObject({
          code: "bad_encoding",
          coordinate: { row: 2, byteOffset: before.byteLength },
        });
      }
    },
  );
});
