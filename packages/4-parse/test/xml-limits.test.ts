import { chunked, probe } from "@sluice/streams/testing";
import { describe, expect, test } from "vitest";
import type { XmlLimits } from "../src/xml/limits.ts";
import { parseXml } from "../src/xml/parse-xml.ts";
import { ROW, readXml, wanted } from "./xml-document.ts";

describe("X3: limits stop the document", () => {
  async function* repeated(head: string, text: string, times: number): AsyncGenerator<Uint8Array> {
    yield Buffer.from(head);
    const many = Buffer.from(text.repeat(1000));
    for (let i = 0; i < times; i += 1000) yield many;
  }
  const stop = async (
    source: AsyncIterable<Uint8Array>,
    option: keyof XmlLimits,
    limits: Partial<XmlLimits> = {},
  ): Promise<{ pulled: number }> => {
    const watched = probe(source);
    const parsed = await parseXml(ROW, wanted(["a"]), limits)(watched);
    const failed = Array.fromAsync(parsed.blocks);
    await expect(failed).rejects.toMatchObject({ code: "record_too_large" });
    await expect(failed).rejects.toThrow(`${option} = `);
    expect(watched.closed).toBe(true);
    return { pulled: watched.pulled };
  };

  test("a depth of a million, in a record and outside", async () => {
    expect((await stop(repeated("<x>", "<a>", 1e6), "maxDepth")).pulled).toBeLessThan(5);
    expect((await stop(repeated("<row>", "<a>", 1e6), "maxDepth")).pulled).toBeLessThan(5);
  });

  test("a million attributes", async () => {
    async function* attributes(): AsyncGenerator<Uint8Array> {
      yield Buffer.from("<row ");
      for (let i = 0; i < 1e6; i++) yield Buffer.from(`a${i}='' `);
    }
    expect((await stop(attributes(), "maxAttributes")).pulled).toBeLessThan(1100);
  });

  test("a text of 1 GiB, in a record and outside, as a comment and as an attribute", async () => {
    const times = 2 ** 20;
    const kilobyte = `${"x".repeat(1023)}\n`;
    const cases: [string, keyof XmlLimits][] = [
      ["<row><a>", "maxRecordBytes"],
      ["<row><a><![CDATA[", "maxRecordBytes"],
      ["<x>", "maxTextLength"],
      ["<x><!--", "maxTextLength"],
      ["<x a='", "maxTextLength"],
      ["<x><?pi ", "maxTextLength"],
      ["<x><", "maxTextLength"],
    ];
    for (const [number, [head, option]] of cases.entries()) {
      // The first three by the limits as they are, the others at a sixteenth of them, which is quicker.
      const limits = number < 3 ? {} : { [option]: 2 ** 20 };
      const text = head === "<x><" ? "x".repeat(1024) : kilobyte;
      const { pulled } = await stop(repeated(head, text, times), option, limits);
      expect(pulled).toBeLessThan(20);
    }
  });

  test("a record of ever new elements, whose objects are far larger than its bytes", async () => {
    await stop(repeated("<row>", "<a b=''/>", 1e6), "maxMembers");
  });

  test.each<[keyof XmlLimits, (size: number) => string, object?]>([
    ["maxDepth", (size) => `<r><row/>${"<a>".repeat(size - 1)}${"</a>".repeat(size - 1)}</r>`],
    ["maxDepth", (size) => `<row>${"<a>".repeat(size - 1)}${"</a>".repeat(size - 1)}</row>`],
    [
      "maxAttributes",
      (size) => `<r ${Array.from({ length: size }, (_, i) => `a${i}=''`).join(" ")}/>`,
    ],
    ["maxNameBytes", (size) => `<r><row/><${"x".repeat(size)}/></r>`],
    ["maxNameBytes", (size) => `<r><row/><${"é".repeat(size >> 1)}${"x".repeat(size & 1)}/></r>`],
    ["maxNameBytes", (size) => `<r ${"x".repeat(size)}='1'/>`],
    ["maxTextLength", (size) => `<r>${"é".repeat(size)}<row/></r>`],
    [
      "maxTextLength",
      (size) => `<r><row>${"&#65;".repeat(size / 5)}${"x".repeat(size % 5)}</row></r>`,
    ],
    ["maxTextLength", (size) => `<r><![CDATA[${"x".repeat(size - 12)}]]></r>`],
    ["maxTextLength", (size) => `<r a="${"x".repeat(size - 8)}"></r>`],
    ["maxRecordBytes", (size) => `<r><row>${"x".repeat(size - 11)}</row></r>`],
    ["maxRecordBytes", (size) => `<r>é<row a="é${"x".repeat(size - 13)}"/></r>`],
    ["maxMembers", (size) => `<r><row b=''>${"<a/>".repeat(size - 2)}</row><row/></r>`],
    ["maxRowBytes", (size) => `<r><row><a>${"x".repeat(size)}</a></row></r>`],
    [
      "maxExplodedBytes",
      (size) => `<r><row>${"<a>x</a>".repeat(size)}</row></r>`,
      { explodePath: "a" },
    ],
  ])("%s at limit - 1, limit and limit + 1, case %#", async (option, text, settings) => {
    const limit = 40;
    for (const size of [1, 7, 10_000]) {
      const limits = { [option]: limit };
      await readXml(text(limit - 1), ["a"], settings, limits, size);
      await readXml(text(limit), ["a"], settings, limits, size);
      const over = readXml(text(limit + 1), ["a"], settings, limits, size);
      await expect(over).rejects.toMatchObject({ stage: "parse", code: "record_too_large" });
      await expect(over).rejects.toThrow(`more than ${option} = ${limit}`);
    }
  });

  test("a limit's error has the place of what is too large, however the bytes arrive", async () => {
    const text = "<r>é<row/>\n<row><a>0123456789012345678901234567890123456789</a></row></r>";
    for (const size of [1, 5, 1000]) {
      await expect(readXml(text, ["a"], {}, { maxTextLength: 30 }, size)).rejects.toMatchObject({
        coordinate: { row: 2, byteOffset: Buffer.from(text).indexOf("0123") },
      });
      await expect(readXml(text, ["a"], {}, { maxRecordBytes: 30 }, size)).rejects.toMatchObject({
        coordinate: { row: 2, byteOffset: Buffer.from(text).indexOf("<row><a>") },
      });
    }
  });

  test("one record's rows stay one block each, however many they are", async () => {
    const many = 200_000;
    const parent = "p".repeat(1000);
    const text = `<r><row><p>${parent}</p>${"<i/>".repeat(many)}</row></r>`;
    const parse = parseXml({ ...ROW, explodePath: "i" }, wanted(["p", "i"]));
    const parsed = await parse(chunked(Buffer.from(text), 65_536));
    let rows = 0;
    for await (const block of parsed.blocks) {
      rows += block.rows;
      expect(block.columns[0]?.data.byteLength).toBeLessThan(2 ** 20 + 2000);
    }
    expect(rows).toBe(many);
  });
});
