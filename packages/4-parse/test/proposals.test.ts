import type { StageError } from "@sluice/errors";
import type { DelimitedSettings, JsonSettings } from "@sluice/schema";
import { chunked } from "@sluice/streams/testing";
import { describe, expect, test } from "vitest";
import { parseDelimited, parseJson } from "../src/index.ts";
import { COMMA, toTable } from "./table.ts";

async function refused(work: () => Promise<unknown>): Promise<Partial<StageError>> {
  const error = await work().then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof Error) return error as StageError;
  throw new Error("nothing was refused");
}

describe("bytes that are no UTF-8", () => {
  const read = async (bytes: Uint8Array, settings: Partial<DelimitedSettings> = {}) =>
    await refused(async () => {
      const parsed = await parseDelimited({ ...COMMA, ...settings })(chunked(bytes, 7));
      await toTable(parsed);
    });
  const latin1 = (text: string): Uint8Array => Buffer.from(text, "latin1");

  test("propose Windows-1252 where they are text in it", async () => {
    for (const text of ["id,name\n1,M\xfcller\n", "id,name\n1,\x8aimek \x96 Zl\xedn\n"]) {
      expect(await read(latin1(text))).toMatchObject({
        code: "bad_encoding",
        proposed: [{ setting: "delimited.encoding", value: "windows-1252" }],
      });
    }
  });

  test.each([
    ["a byte that Windows-1252 has not", "id,name\n1,M\x81ller\n"],
    ["a mark where a letter should be", "id,name\n1,sch\x94n\n"],
    ["a control character", "id,name\n1,\xfc\x01\n"],
    ["a character of UTF-8 beside", "id,name\n1,\xc3\xbc \xfc\n"],
  ])("propose nothing for %s", async (_, text) => {
    expect(await read(latin1(text))).toMatchObject({ code: "bad_encoding", proposed: [] });
  });

  test("propose what their byte order mark says", async () => {
    const bytes = Buffer.from("\ufeffid,name\n", "utf16le");
    expect(await read(bytes, { encoding: "latin-1" })).toMatchObject({
      proposed: [{ setting: "delimited.encoding", value: "utf-16le" }],
    });
  });
});

test.each<[JsonSettings["shape"], string, JsonSettings["shape"]]>([
  ["lines", '[\n{"id":1}]', "records"],
  ["lines", '{\n"id":1}', "concatenated"],
  ["records", '{"id":1}\n{"id":2}\n', "lines"],
  ["records", '{"id":1}{"id":2}', "concatenated"],
])("JSON of another shape than %s proposes it: %j is %s", async (shape, text, value) => {
  const settings: JsonSettings = { kind: "json", shape, recordPath: "", explodePath: "" };
  const error = await refused(async () => {
    const parse = parseJson(settings, [{ incomingName: "id" }]);
    await toTable(await parse(chunked(Buffer.from(text), 5)));
  });
  expect(error).toMatchObject({ proposed: [{ setting: "json.shape", value }] });
});
