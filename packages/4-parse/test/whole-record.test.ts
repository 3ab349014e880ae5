import { expect, test } from "vitest";
import { container, encode, readAvro, record } from "./avro-file.ts";
import { readJson } from "./json-read.ts";
import { readXml } from "./xml-document.ts";

const WHOLE = { incomingName: "_record", path: "" };

test("the empty path takes a record of JSON as it stands, beside its members", async () => {
  const text = '{"a": 1.10, "b":{"c":[1, 2]}}\n[1]\n{"a":"\\u00e9"}\n';
  const table = await readJson(text, [WHOLE, { incomingName: "a" }]);
  expect(table.rows).toEqual([
    ['{"a": 1.10, "b":{"c":[1, 2]}}', "1.10"],
    [null, null],
    ['{"a":"\\u00e9"}', "é"],
  ]);
  expect(table.findings.extra).toEqual([]);
});

test("of exploded JSON the path of the array takes each whole element", async () => {
  const text = '{"no":1,"items":[{"sku":"a"},{"sku":"b"}]}\n';
  const fields = [{ incomingName: "_record", path: "items" }, { incomingName: "no" }];
  expect((await readJson(text, fields, { explodePath: "items" })).rows).toEqual([
    ['{"sku":"a"}', "1"],
    ['{"sku":"b"}', "1"],
  ]);
});

test("the empty path takes a record of XML as JSON", async () => {
  const text = '<rows><row id="1"><a>x</a><a>y</a></row></rows>';
  expect((await readXml(text, [["_record", ""], "a"])).rows).toEqual([
    ['{"@id":"1","a":["x","y"]}', '["x","y"]'],
  ]);
});

test("the empty path takes a record of Avro as JSON", async () => {
  const schema = record({ id: "int", tags: { type: "array", items: "string" } });
  const { bytes } = container(schema, encode(schema, [{ id: 1, tags: ["a", "b"] }]));
  const table = await readAvro(bytes, [WHOLE, { incomingName: "id" }]);
  expect(table.rows).toEqual([['{"id":1,"tags":["a","b"]}', "1"]]);
});
