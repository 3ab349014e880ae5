import { describe, expect, test } from "vitest";
import { readJson } from "./json-read.ts";

const SHAPES = ["lines", "records", "concatenated"] as const;

/** The records as a file of each shape. */
function files(records: readonly string[]) {
  return SHAPES.map((shape) => {
    const text = shape === "records" ? `[${records.join(",")}]` : records.join("\n");
    return { shape, text };
  });
}

describe("parseJson with an explodePath", () => {
  const orders = [
    '{"id":1,"items":[{"sku":"a","n":1},{"sku":"b"}],"at":"x"}',
    '{"items":{"sku":"c","n":3},"id":2}',
    '{"id":3,"items":[]}',
    '{"id":4,"items":null}',
    '{"id":5}',
    '{"id":6,"ITEMS":[ {"SKU":"d\\u0021"} , 7 , null , "e" ]}',
  ];

  test("gives a row for each element, with the record's other fields beside it", async () => {
    for (const { shape, text } of files(orders)) {
      for (const size of [1, 5, 1000]) {
        for (const maxBlockRows of [1, 2, 100]) {
          const reading = { shape, size, explodePath: "items", limits: { maxBlockRows } };
          const table = await readJson(text, "id sku=items.sku n=items.n at items", reading);
          expect(table.rows).toEqual([
            ["1", "a", "1", "x", '{"sku":"a","n":1}'],
            ["1", "b", null, "x", '{"sku":"b"}'],
            ["2", "c", "3", null, '{"sku":"c","n":3}'],
            ["6", "d!", null, null, '{"SKU":"d\\u0021"}'],
            ["6", null, null, null, "7"],
            ["6", null, null, null, null],
            ["6", null, null, null, "e"],
          ]);
          expect(table.rowNumbers).toEqual([1, 2, 3, 4, 5, 6, 7]);
          expect(table.byteOffsets.slice(0, 2)).toEqual([
            text.indexOf('{"sku":"a"'),
            text.indexOf('{"sku":"b"'),
          ]);
          expect(table.faults).toEqual([]);
          expect(table.findings).toEqual({
            absent: [],
            extra: [],
            warnings: ["3 records have no element at explodePath, and gave no row"],
          });
        }
      }
    }
  });

  test("goes through members and elements, beside fields of what stands around the array", async () => {
    const text = '{"o":[{"items":[{"t":[1,2]},{"t":[3]}],"z":5}],"y":6}';
    const fields = "first=o[0].items.t[0] z=o[0].z y o second=o[0].items.t[1]";
    const { rows } = await readJson(text, fields, { explodePath: "o[0].items" });
    const whole = '[{"items":[{"t":[1,2]},{"t":[3]}],"z":5}]';
    expect(rows).toEqual([
      ["1", "5", "6", whole, "2"],
      ["3", "5", "6", whole, null],
    ]);
  });

  test("tells names of the record and of its elements that no field takes, and what no record had", async () => {
    const text = '{"id":1,"x":2,"items":[{"sku":1,"a.b":2,"y":3},{"z":4}]}\n{"w":1}';
    const { findings } = await readJson(text, "id sku=items.sku q=items.q p", {
      explodePath: "items",
    });
    expect(findings.extra).toEqual(["x", 'items."a.b"', "items.y", "items.z", "w"]);
    expect(findings.absent).toEqual([2, 3]);
  });

  test("takes the last of two arrays of one name, and counts each record once", async () => {
    const text = [
      '{"items":[{"a":1,"a":2}],"items":[{"a":3,"a":4},{"a":5,"a":6}]}',
      '{"o":{"items":[1]},"o":{}}',
    ].join("\n");
    const { rows, findings } = await readJson(text, "a=items.a", { explodePath: "items" });
    expect(rows).toEqual([["4"], ["6"]]);
    expect(findings.warnings).toEqual([
      "2 records have a key twice in one object: the last one counts",
      "1 record has no element at explodePath, and gave no row",
    ]);
    const inner = await readJson(text, "a=o.items.a", { explodePath: "o.items" });
    expect(inner.rows).toEqual([]);
  });

  test("makes one fault of a record that is malformed, whatever elements it has", async () => {
    const text = '{"items":[1,2],"x":}\n{"items":[3]}';
    const { rows, faults } = await readJson(text, "items", { explodePath: "items" });
    expect(rows).toEqual([[null], ["3"]]);
    expect(faults.map(({ raw }) => raw)).toEqual(['{"items":[1,2],"x":}']);
  });

  test("makes a fault of each row with half a character, in the record or in the element", async () => {
    const text =
      '{"p":"x","items":["a","\\ud800","b"]}\n{"p":"\\udfff","items":["c","d"]}\n{"items":["e"]}';
    const { rows, faults } = await readJson(text, "p items", { explodePath: "items" });
    expect(rows).toEqual([
      ["x", "a"],
      [null, null],
      ["x", "b"],
      [null, null],
      [null, null],
      [null, "e"],
    ]);
    expect(faults.map(({ row, raw }) => [row, raw])).toEqual([
      [2, '"\\ud800"'],
      [4, '"c"'],
      [5, '"d"'],
    ]);
  });

  test("works behind a recordPath", async () => {
    const text = '{"d":[{"p":1,"i":[{"a":1},{"a":2}]},{"p":2,"i":[{"a":3}]}]}';
    for (const shape of SHAPES) {
      for (const maxBlockRows of [1, 100]) {
        const reading = { shape, recordPath: "d", explodePath: "i", limits: { maxBlockRows } };
        expect((await readJson(text, "p a=i.a", reading)).rows).toEqual([
          ["1", "1"],
          ["1", "2"],
          ["2", "3"],
        ]);
      }
    }
  });
});
