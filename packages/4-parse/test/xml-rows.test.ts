import { chunked, probe } from "@sluice/streams/testing";
import { describe, expect, test } from "vitest";
import { parseXml } from "../src/xml/parse-xml.ts";
import { ROW, readXml, wanted } from "./xml-document.ts";

describe("parseXml with explodePath", () => {
  const text =
    "<r><row id='1'><items k='x'><item q='1'><s>A</s></item><item q='2'/></items><items k='y'><item>C</item></items></row>" +
    "<row id='2'/><row id='3'><items k='z'/></row><row id='4'><Items><item>D</item></Items></row></r>";
  test("makes a row of each element, repeating what stands around it", async () => {
    const fields = [
      "@id",
      ["item", "items.item"],
      ["s", "items.item.s"],
      ["q", "ITEMS.item.@q"],
      ["t", "items.item.#text"],
      ["k", "items.@k"],
      ["all", "items"],
    ] as const;
    const table = await readXml(text, fields, { explodePath: "items.item" });
    const all = '{"@k":"x","item":[{"@q":"1","s":"A"},{"@q":"2"}]}';
    expect(table.rows).toEqual([
      ["1", '{"@q":"1","s":"A"}', "A", "1", null, "x", all],
      ["1", '{"@q":"2"}', null, "2", "", "x", all],
      ["1", "C", null, null, "C", "y", '{"@k":"y","item":"C"}'],
      ["4", "D", null, null, "D", null, '{"item":"D"}'],
    ]);
    expect(table.rowNumbers).toEqual([1, 2, 3, 4]);
    const start = (id: number): number => text.indexOf(`<row id='${id}'`);
    expect(table.byteOffsets).toEqual([start(1), start(1), start(1), start(4)]);
    expect(table.findings.warnings).toEqual([
      "2 records without an element items.item gave no row",
      "several names fit one field, which takes the best of each record: items, Items",
    ]);
  });

  test("may choose one of repeated elements on its way", async () => {
    const table = await readXml(text, ["@id", ["i", "items[1].item"]], {
      explodePath: "items[1].item",
    });
    expect(table.rows).toEqual([["1", "C"]]);
  });

  test("tells of names that no field takes, those of the elements with the path before them", async () => {
    const { findings } = await readXml(text, [["q", "items.item.@q"], "zip"], {
      explodePath: "items.item",
    });
    expect(findings.extra).toEqual(["@id", "items.item.s", "items.item.#text"]);
    expect(findings.absent).toEqual([1]);
  });
});

describe("parseXml says what it saw", () => {
  test("which columns no record had, and which names no field takes", async () => {
    const text = "<r><row x='1'><a/><B/></row><row xmlns='u' xsi:nil='true'><c/><p:d/></row></r>";
    const { findings } = await readXml(text, ["a", "b", "z", ["y", "a.y"], ["c", "c[0]"]]);
    expect(findings).toEqual({ absent: [2, 3], extra: ["@x", "p:d"], warnings: [] });
  });
});

test("parseXml says which names were rivals, and what text no field takes", async () => {
  const text =
    "<r><row><p:id>1</p:id><ID>2</ID> text <i><id>3</id></i></row><row><q:id>4</q:id></row></r>";
  expect((await readXml(text, ["id", ["i", "i.id"]])).findings).toEqual({
    absent: [],
    extra: ["#text"],
    warnings: ["several names fit one field, which takes the best of each record: p:id, ID, q:id"],
  });
  const leaves = await readXml("<r><row>1</row><row>2</row></r>", ["id"]);
  expect(leaves.findings.extra).toEqual(["#text"]);
  expect((await readXml("<r><row>1</row></r>", ["#text"])).findings.extra).toEqual([]);
});

describe("parseXml gives blocks", () => {
  test("closed by rows, bytes and cells", async () => {
    const text = Buffer.from(`<r>${"<row><a>12</a><b>345</b></row>".repeat(10)}</r>`);
    const sizes = async (limits: object): Promise<number[]> => {
      const parsed = await parseXml(ROW, wanted(["a", "b"]), limits)(chunked(text, 50));
      return (await Array.fromAsync(parsed.blocks)).map(({ rows }) => rows);
    };
    expect(await sizes({ maxBlockRows: 4 })).toEqual([4, 4, 2]);
    expect(await sizes({ maxBlockBytes: 21 })).toEqual([5, 5]);
    expect(await sizes({ maxBlockCells: 7 })).toEqual([3, 3, 3, 1]);
  });

  test("all that come before a fault, however the bytes arrive", async () => {
    const text = Buffer.from(`<r>${"<row><a>1</a></row>".repeat(10)}</x>`);
    for (const size of [1, 10, 1000]) {
      const parsed = await parseXml(ROW, wanted(["a"]), { maxBlockRows: 3 })(chunked(text, size));
      const seen: number[] = [];
      const read = async (): Promise<void> => {
        for await (const block of parsed.blocks) seen.push(block.rows);
      };
      await expect(read()).rejects.toMatchObject({ code: "malformed" });
      expect(seen).toEqual([3, 3, 3]);
    }
  });

  test("and closes a source whose blocks are not read", async () => {
    const source = probe(chunked(Buffer.from("<r><row/></r>"), 10));
    const parsed = await parseXml(ROW, [])(source);
    expect(source.pulled).toBe(0);
    const blocks = parsed.blocks[Symbol.asyncIterator]();
    await blocks.return?.();
    expect((await blocks.next()).done).toBe(true);
  });

  test.each([
    { rowElement: "" },
    { rowElement: "@a" },
    { rowElement: "a[0]" },
    { rowElement: "a.#text" },
    { explodePath: "a..b" },
  ])("unless the settings lead nowhere: %j", (settings) => {
    expect(() => parseXml({ ...ROW, ...settings }, [])).toThrow("XML: ");
    expect(() => parseXml(ROW, [{ incomingName: "a", path: "a[" }])).toThrow("XML: ");
  });
});
