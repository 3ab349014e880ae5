import type { FormatSettings } from "@sluice/schema";
import { describe, expect, test } from "vitest";
import { assertFormat } from "../src/index.ts";

type Kind = FormatSettings["kind"];
const bytes = (text: string): Uint8Array => Buffer.from(text, "latin1");
const PARQUET = bytes("PAR1\x15\0\x15\x02");
const AVRO = bytes("Obj\x01\x04\x16avro.schema");

describe("bytes that surely are of another format are refused with the setting to make", () => {
  test.each<[Kind, string, Uint8Array, string]>([
    ["delimited", "Parquet", PARQUET, "parquet"],
    ["delimited", "Avro", AVRO, "avro"],
    ["delimited", "XML", bytes('<?xml version="1.0"?><a/>'), "xml"],
    ["delimited", "JSON", bytes('{"id": 1, "name": "x"}\n'), "json"],
    ["delimited", "an array of JSON", bytes('\xef\xbb\xbf [\n {"id": 1}]'), "json"],
    ["json", "XML", bytes("<orders>\n<order/></orders>"), "xml"],
    ["json", "Parquet", PARQUET, "parquet"],
    ["xml", "JSON", bytes('[{"id":1}]'), "json"],
    ["xml", "Avro", AVRO, "avro"],
    ["parquet", "text", bytes("id,name\n1,x\n"), "delimited"],
    ["parquet", "JSON", bytes('{"id":1}'), "json"],
    ["parquet", "Avro", AVRO, "avro"],
    ["avro", "Parquet", PARQUET, "parquet"],
    ["avro", "XML in UTF-16", bytes("\xff\xfe<\0a\0>\0<\0/\0a\0>\0"), "xml"],
  ])("%s set, %s seen", (kind, _, head, better) => {
    expect(() => assertFormat(head, { kind })).toThrowError(
      expect.objectContaining({
        code: "malformed",
        message: expect.stringContaining(`Set the format to ${better}.`),
      }),
    );
  });

  test.each<[string, string, string[]]>([
    ["commas", "id,name\n1,x\n", []],
    ["semicolons", "\xef\xbb\xbfid;name;first, last\n1;x;y\n", [";"]],
    ["tabs, cut in a line", "id\tname\n1\tx", ["\t"]],
  ])("JSON set, a table with %s seen", (_, head, delimiters) => {
    expect(() => assertFormat(bytes(head), { kind: "json" })).toThrowError(
      expect.objectContaining({
        code: "malformed",
        rawMessage: "The bytes are no JSON but delimited text. Set the format to delimited.",
        proposed: [
          { setting: "format", value: "delimited" },
          ...delimiters.map((value) => ({ setting: "delimited.delimiter", value })),
        ],
      }),
    );
  });

  test.each(["<!DOCTYPE html>\n<p>404", "<HTML>\n<body>", "\n<html lang='en'>"])(
    "a page of HTML is no table and no XML to propose: %j",
    (head) => {
      expect(() => assertFormat(bytes(head), { kind: "delimited" })).toThrowError(
        expect.objectContaining({ seen: "an HTML page", proposed: [] }),
      );
      expect(() => assertFormat(bytes(head), { kind: "xml" })).not.toThrow();
    },
  );

  test.each([
    "%PDF-1.7\n\x01",
    "%PDF-1.4\ntext",
    "ORC\x08\x03\0",
    "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
  ])("a format that is not read at all is named: %j", (head) => {
    expect(() => assertFormat(bytes(head), { kind: "delimited" })).toThrowError(/is not read/);
  });
});

describe("what may be of the format passes", () => {
  test.each<[Kind, string]>([
    ["delimited", "id,name\n1,x\n"],
    ["delimited", "PAR1,PAR2\n1,2\n"],
    ["delimited", "[id],{name}\n"],
    ["delimited", "<5,>6\n"],
    ["delimited", ""],
    ["json", "1 2 3"],
    ["json", '{"id":1}'],
    ["json", "broken"],
    ["json", 'x, y\n{"id":1}\n'],
    ["json", "[1,2]"],
    ["xml", "<a/>"],
    ["xml", "\xef\xbb\xbf<!-- c --><a/>"],
    ["parquet", "PAR1\x15\0"],
    ["parquet", "\0\x01\x02"],
    ["avro", "Obj\x01"],
  ])("%s: %j", (kind, head) => {
    expect(() => assertFormat(bytes(head), { kind })).not.toThrow();
  });
});
