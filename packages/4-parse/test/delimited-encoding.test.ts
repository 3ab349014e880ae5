import type { Block, DelimitedSettings, TextEncoding } from "@sluice/schema";
import { chunked, probe, stageContract } from "@sluice/streams/testing";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseDelimited } from "../src/csv/parse-delimited.ts";
import { encode } from "./encode.ts";
import { COMMA, type Table, toTable } from "./table.ts";

const ENCODINGS = ["utf-8", "utf-16le", "utf-16be", "latin-1", "windows-1252"] as const;

async function read(
  bytes: Uint8Array,
  settings: Partial<DelimitedSettings> = {},
  size = 3,
): Promise<Table> {
  return await toTable(await parseDelimited({ ...COMMA, ...settings })(chunked(bytes, size)));
}

stageContract<Block>({
  name: "parseDelimited of UTF-16",
  stage: async function* (source) {
    const settings = { ...COMMA, encoding: "utf-16be" as const };
    yield* (await parseDelimited(settings, { maxBlockRows: 3 })(source)).blocks;
  },
  sample: encode(
    `a,b\r\n${Array.from({ length: 40 }, (_, i) => `${i},"x""𝄞é\n${i}"\r${i % 7 ? "" : "odd\n"}\n,\n`).join("")}`,
    "utf-16be",
  ),
  collect: (blocks) => blocks,
  empty: { output: [] },
  limited: {
    stage: async function* (source) {
      const settings = { ...COMMA, encoding: "utf-16be" as const };
      yield* (await parseDelimited(settings, { maxFieldBytes: 4 })(source)).blocks;
    },
    code: "record_too_large",
  },
});

describe("parseDelimited reads every encoding as the same text in UTF-8", () => {
  const characters: Record<TextEncoding, readonly string[]> = {
    "utf-8": ["é", "名", "𝄞", "\ufffd"],
    "utf-16le": ["é", "名", "𝄞", "\ufffd", "਀", "Ċ", "∬"],
    "utf-16be": ["é", "名", "𝄞", "\ufffd", "਀", "Ċ", "∬"],
    "latin-1": ["é", "þ", "ÿ", "\u0085", "\u0080"],
    "windows-1252": ["é", "þ", "ÿ", "€", "Ÿ", "š", "“"],
  };
  test.each(ENCODINGS)("%s, with each record's place in the file", async (encoding) => {
    const unit = fc.constantFrom(
      "a",
      "7",
      " ",
      ",",
      ",",
      '"',
      "\n",
      "\r\n",
      "\r",
      "\0",
      ...characters[encoding],
    );
    // The first character keeps what follows from looking like a byte order mark.
    const texts = fc.array(unit, { maxLength: 60 }).map((parts) => ["x", ...parts].join(""));
    await fc.assert(
      fc.asyncProperty(
        texts,
        fc.integer({ min: 1, max: 40 }),
        fc.boolean(),
        async (text, size, hasMark) => {
          const settings = { ...COMMA, headerRows: 0, encoding };
          const outcome = (bytes: Uint8Array, from: Partial<DelimitedSettings>): Promise<unknown> =>
            read(bytes, { ...settings, ...from }, size).catch(
              ({ code, rawMessage, coordinate }) => ({
                code,
                rawMessage,
                ...coordinate,
              }),
            );
          const marked = hasMark && encoding.startsWith("utf") ? `\ufeff${text}` : text;
          const expected = (await outcome(Buffer.from(marked), { encoding: "utf-8" })) as
            | Table
            | { byteOffset: number };
          // The oracle is the same text in UTF-8: its offsets, counted in characters of the file.
          const place = (utf8: number): number =>
            encode(Buffer.from(marked).subarray(0, utf8).toString(), encoding).byteLength;
          const placed =
            "rows" in expected
              ? { ...expected, byteOffsets: expected.byteOffsets.map(place) }
              : { ...expected, byteOffset: place(expected.byteOffset) };
          expect(await outcome(encode(marked, encoding), {})).toEqual(placed);
        },
      ),
      { numRuns: 400 },
    );
  });

  test.each(["utf-16le", "utf-16be"] as const)(
    "%s, over many windows, blocks and long records",
    async (encoding) => {
      const lines = Array.from({ length: 9000 }, (_, i) =>
        i % 1000 === 0 ? `${i},"${"é𝄞\n".repeat(4000)}"` : `${i},naïve 名 ${i}`,
      );
      const text = `\ufeffn,t\n${lines.join("\n")}`;
      const table = await read(encode(text, encoding), { encoding }, 50_000);
      expect(table.rows.length).toBe(9000);
      let at = encode("\ufeffn,t\n", encoding).byteLength;
      const offsets = lines.map((line) => {
        const start = at;
        at += encode(`${line}\n`, encoding).byteLength;
        return start;
      });
      expect(table.byteOffsets).toEqual(offsets);
    },
  );

  test("with marks of the dialect that are one byte in the file and two in UTF-8", async () => {
    const text = "þaþ\u0014þbþ\nþxþþyþ\u0014þÿþ\n";
    const settings = { encoding: "latin-1", delimiter: "\u0014", quote: "þ", escape: "þ" } as const;
    const table = await read(encode(text, "latin-1"), settings);
    expect(table.names).toEqual(["a", "b"]);
    expect(table.rows).toEqual([["xþy", "ÿ"]]);
  });
});

describe("parseDelimited believes a byte order mark", () => {
  test.each(["utf-16le", "utf-16be"] as const)("of %s where UTF-8 is set", async (encoding) => {
    const bytes = encode("\ufeffa,b\n1,é\n2,名", encoding);
    expect(await read(bytes)).toMatchObject({
      names: ["a", "b"],
      rows: [
        ["1", "é"],
        ["2", "名"],
      ],
      byteOffsets: [10, 18],
    });
    expect(await read(bytes, { encoding })).toEqual(await read(bytes));
  });

  test.each<[TextEncoding, TextEncoding, string]>([
    ["utf-16le", "utf-16be", "set the encoding to utf-16be"],
    ["utf-16be", "utf-16le", "set the encoding to utf-16le"],
    ["utf-16le", "utf-8", "set the encoding to utf-8"],
    ["latin-1", "utf-8", "set the encoding to utf-8"],
    ["windows-1252", "utf-16le", "set the encoding to utf-16le"],
  ])("and refuses %s where the mark is of %s, proposing it", async (encoding, mark, proposal) => {
    const source = probe(chunked(encode("\ufeffa,b\n", mark), 2));
    const parsed = parseDelimited({ ...COMMA, encoding })(source);
    await expect(parsed).rejects.toMatchObject({
      stage: "parse",
      code: "bad_encoding",
      coordinate: { byteOffset: 0 },
    });
    await expect(parsed).rejects.toThrow(proposal);
    expect(source.closed).toBe(true);
  });

  test.each([
    ["UTF-32LE", Buffer.of(0xff, 0xfe, 0, 0, 0x61, 0, 0, 0)],
    ["UTF-32BE", Buffer.of(0, 0, 0xfe, 0xff, 0, 0, 0, 0x61)],
  ])("and refuses %s by its name, whatever is set", async (name, bytes) => {
    for (const encoding of ENCODINGS) {
      await expect(read(bytes, { encoding })).rejects.toMatchObject({
        code: "bad_encoding",
        seen: `a byte order mark of ${name}`,
      });
    }
  });
});

// Attack C4.
describe("parseDelimited stops at bytes that are no character, with row and byte offset", () => {
  const le = (...units: number[]): Buffer => Buffer.from(Uint16Array.from(units).buffer);
  const be = (...units: number[]): Buffer => le(...units).swap16();
  const head = "a,b\n1,2\r\n3,4\r";
  test.each<[string, TextEncoding, Buffer, Buffer]>([
    ["a low surrogate alone", "utf-16le", le(0x61, 0xdc00, 0x61), le(0x0a)],
    ["a high surrogate alone", "utf-16le", le(0x61, 0xd800, 0x61), le(0x0a)],
    ["a high surrogate alone", "utf-16be", be(0x61, 0xd834, 0xd834, 0xdd1e), be(0x0a)],
    ["an odd last byte", "utf-16le", le(0x61), Buffer.of(0x61)],
    ["an odd last byte", "utf-16be", be(0x61), Buffer.of(0x00)],
    ["half a pair at the end", "utf-16be", be(0x61), be(0xd834)],
    ...[0x81, 0x8d, 0x8f, 0x90, 0x9d].map((byte): [string, TextEncoding, Buffer, Buffer] => [
      `the byte 0x${byte.toString(16)}`,
      "windows-1252",
      Buffer.of(0x61, byte),
      Buffer.from(",x\n"),
    ]),
    ["a byte that begins nothing", "utf-8", Buffer.of(0x61, 0xff), Buffer.from(",x\n")],
    ["a byte that only continues", "utf-8", Buffer.of(0x61, 0x80), Buffer.from(",x\n")],
    ["an overlong form", "utf-8", Buffer.of(0x61, 0xc0, 0xaf), Buffer.from(",x\n")],
    ["a surrogate in UTF-8", "utf-8", Buffer.of(0x61, 0xed, 0xa0, 0x80), Buffer.from(",x\n")],
    ["a character cut by the end", "utf-8", Buffer.of(0x61), Buffer.of(0xf0, 0x9d, 0x84)],
  ])("%s in %s", async (_, encoding, bad, rest) => {
    const before = encode(head, encoding);
    const unit = encode("a", encoding).byteLength;
    for (const size of [1, 2, 3, 5, 1000]) {
      const bytes = Buffer.concat([before, bad, rest]);
      await expect(read(bytes, { encoding }, size)).rejects.toMatchObject({
        code: "bad_encoding",
        coordinate: { row: 3, byteOffset: before.byteLength + unit },
      });
    }
  });

  test("right behind a lone carriage return, in the row that begins there", async () => {
    const bytes = Buffer.concat([
      encode("a,b\r1,2\r", "windows-1252"),
      Buffer.of(0x81, 0x2c, 0x32),
    ]);
    await expect(read(bytes, { encoding: "windows-1252" })).rejects.toMatchObject({
      coordinate: { row: 2, byteOffset: 8 },
    });
  });

  test("in a header, whose error names no row", async () => {
    const bytes = Buffer.concat([encode("a,b", "utf-16be"), Buffer.of(0xdc, 0x00, 0x00, 0x0a)]);
    const failed = read(bytes, { encoding: "utf-16be" });
    await expect(failed).rejects.toMatchObject({ code: "bad_encoding" });
    await expect(failed).rejects.toHaveProperty("coordinate", { byteOffset: 6 });
  });

  test("and puts other errors at their place in the file too", async () => {
    const text = '\ufeffé,名\n1,"é\n"\n2,"open';
    await expect(read(encode(text, "utf-16be"), { encoding: "utf-16be" })).rejects.toMatchObject({
      code: "malformed",
      coordinate: { row: 2, byteOffset: 2 * text.indexOf('"open') },
    });
    const header = parseDelimited({ ...COMMA, skipRows: 1 });
    await expect(header(chunked(encode("\ufeffé\n,b\n", "utf-16le"), 3))).rejects.toMatchObject({
      code: "malformed",
      coordinate: { byteOffset: 6 },
    });
  });

  test("reads on in text whose bytes are all one kind of line break or mark in another encoding", async () => {
    // U+0A0A, U+2C2C, U+2222 and U+0D0A hold the bytes of LF, comma, quote and CR.
    const text = "a,b\nਊⰬ,∢ഊ\n";
    for (const encoding of ["utf-16le", "utf-16be"] as const) {
      expect((await read(encode(text, encoding), { encoding })).rows).toEqual([["ਊⰬ", "∢ഊ"]]);
    }
  });
});
