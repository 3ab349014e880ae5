import { readFileSync } from "node:fs";
import {
  DelimitedSettings_Encoding as Encoding,
  JsonSettings_Shape as Shape,
} from "@sluice/api/control/v1/file_settings_pb";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type FileSettings, type Story, startStory } from "./story.ts";

let story: Story;
beforeAll(async () => {
  story = await startStory();
});
afterAll(async () => await story[Symbol.asyncDispose]());

interface Shown {
  readonly setting: string;
  readonly body: string | Uint8Array;
  readonly format: FileSettings["format"];
  readonly names: readonly string[];
  readonly rows: readonly (readonly (string | undefined)[])[];
}

const CASES: readonly Shown[] = [
  {
    setting: "delimiter",
    body: "a::b\n1::2\n",
    format: { case: "delimited", value: { delimiter: "::" } },
    names: ["a", "b"],
    rows: [["1", "2"]],
  },
  {
    setting: "quote",
    body: "a,b\n'1,2',3\n",
    format: { case: "delimited", value: { quote: "'" } },
    names: ["a", "b"],
    rows: [["1,2", "3"]],
  },
  {
    setting: "escape",
    body: 'a,b\n"1\\"2",3\n',
    format: { case: "delimited", value: { escape: "\\" } },
    names: ["a", "b"],
    rows: [['1"2', "3"]],
  },
  {
    setting: "header_rows",
    body: "1,2\n",
    format: { case: "delimited", value: { headerRows: 0 } },
    names: ["column_1", "column_2"],
    rows: [["1", "2"]],
  },
  {
    setting: "skip_rows",
    body: "made by a tool\n\na,b\n1,2\n",
    format: { case: "delimited", value: { skipRows: 2 } },
    names: ["a", "b"],
    rows: [["1", "2"]],
  },
  {
    setting: "null_text",
    body: "a,b\nNULL,2\n",
    format: { case: "delimited", value: { nullText: "NULL" } },
    names: ["a", "b"],
    rows: [[undefined, "2"]],
  },
  {
    setting: "encoding",
    body: Buffer.from("a,b\n\xf6,2\n", "latin1"),
    format: { case: "delimited", value: { encoding: Encoding.LATIN_1 } },
    names: ["a", "b"],
    rows: [["ö", "2"]],
  },
  {
    setting: "shape",
    body: '{"a":1}{"a":2}',
    format: { case: "json", value: { shape: Shape.CONCATENATED } },
    names: ["a"],
    rows: [["1"], ["2"]],
  },
  {
    setting: "record_path",
    body: '{"x":{"y":[{"a":1},{"a":2}]}}',
    format: { case: "json", value: { recordPath: "x.y" } },
    names: ["a"],
    rows: [["1"], ["2"]],
  },
  {
    setting: "explode_path",
    body: '[{"id":1,"items":[{"sku":"a"},{"sku":"b"}]}]',
    format: { case: "json", value: { explodePath: "items" } },
    names: ["id", "items.sku"],
    rows: [
      ["1", "a"],
      ["1", "b"],
    ],
  },
  {
    setting: "row_element",
    body: "<r><o n='1'><p><q>x</q></p></o><o n='2'/></r>",
    format: { case: "xml", value: { rowElement: "o" } },
    names: ["@n", "p"],
    rows: [
      ["1", '{"q":"x"}'],
      ["2", undefined],
    ],
  },
];

const reference = readFileSync(new URL("../../docs/api.md", import.meta.url), "utf8");

it.each(CASES)(
  "a preview goes by $setting, which the reference has a row for (PV-7, PV-8, PV-5)",
  async ({ setting, body, format, names, rows }) => {
    await story.customer.put(setting, body);
    const { preview } = await story.sources.previewObject({
      credentialId: story.credentialId,
      key: setting,
      settings: { format } as FileSettings,
    });
    expect(preview?.failure).toBeUndefined();
    if (preview?.content.case !== "table") throw new Error("no table");
    const { columns, rows: shown } = preview.content.value;
    expect(columns.map(({ name }) => name)).toEqual(names);
    expect(shown.map(({ cells }) => cells.map(({ value }) => value))).toEqual(rows);
    const camel = setting.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
    expect(reference).toMatch(new RegExp(`\\| \`?(${setting}|${camel})\`? \\|`));
  },
);
