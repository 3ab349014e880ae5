import { StageError } from "@sluice/errors";
import fc from "fast-check";
import { expect, test } from "vitest";
import { encode } from "./encode.ts";
import { readXml } from "./xml-document.ts";

const TEXT =
  "<?xml version='1.0'?>\r\n<!-- é --><r>\n<row id='1'>𝄞<a x='&lt;é'>1</a><?p i?><b><![CDATA[]]]]></b></row>\r<row/>&amp;<row><a>2</a><a/></row></r>\n";
const PIECES = [
  "<",
  ">",
  "&",
  "]]>",
  "--",
  "<!DOCTYPE",
  "</row>",
  "<row>",
  "é",
  "\r",
  "'",
  "/",
  " ",
  "\0",
];

const OUTSIDE = "text outside of the root element";

const damaged = fc
  .record({
    encoding: fc.constantFrom("utf-8" as const, "utf-16le" as const, "utf-16be" as const),
    insert: fc.option(fc.record({ at: fc.nat(TEXT.length), piece: fc.constantFrom(...PIECES) })),
    flip: fc.option(fc.record({ at: fc.nat(400), bit: fc.nat(7) })),
    end: fc.option(fc.nat(400)),
  })
  .map(({ encoding, insert, flip, end }) => {
    const text =
      insert === null ? TEXT : TEXT.slice(0, insert.at) + insert.piece + TEXT.slice(insert.at);
    const mark = encoding === "utf-8" ? "" : "\ufeff";
    const bytes = encode(mark + text, encoding);
    if (flip !== null && flip.at < bytes.byteLength) {
      bytes[flip.at] = (bytes[flip.at] ?? 0) ^ (1 << flip.bit);
    }
    return bytes.subarray(0, end ?? bytes.byteLength);
  });

test("a damaged document is rows or one error, the same out of any chunks", async () => {
  await fc.assert(
    fc.asyncProperty(damaged, fc.integer({ min: 1, max: 20 }), async (bytes, size) => {
      const limits = { maxTextLength: 40, maxRecordBytes: 160 };
      const outcome = async (chunk: number): Promise<unknown> => {
        try {
          return await readXml(bytes, ["@id", "a", "b", "#text"], {}, limits, chunk);
        } catch (error) {
          expect(error).toBeInstanceOf(StageError);
          const { stage, code, rawMessage, coordinate } = error as StageError;
          expect(stage).toBe("parse");
          expect(coordinate.byteOffset).toBeLessThanOrEqual(bytes.byteLength);
          return { code, rawMessage, coordinate };
        }
      };
      const [one, other] = [await outcome(size), await outcome(10_000)];
      // Text outside of the root with a forbidden character in it has two faults, either of which may be told.
      const outside = [one, other].some((seen) => JSON.stringify(seen).includes(OUTSIDE));
      if (outside)
        expect([one, other]).toMatchObject([{ code: "malformed" }, { code: "malformed" }]);
      else expect(one).toEqual(other);
    }),
    { numRuns: 1000 },
  );
});
