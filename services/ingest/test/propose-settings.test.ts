import { StageError } from "@sluice/errors";
import { resolveColumns } from "@sluice/load";
import type { DelimitedSettings, Feed } from "@sluice/schema";
import { describe, expect, test } from "vitest";
import { assertFormatOf, withDelimiter } from "../src/propose-settings.ts";
import { toStageFailure } from "../src/to-proto.ts";

const field = (name: string, isRequired: boolean): Feed["fields"][number] => ({
  name,
  incomingName: name,
  type: { kind: "string" },
  require: isRequired,
  semanticTags: [],
  include: true,
});
const FEED = {
  source: "crm",
  name: "people",
  fields: [field("id", true), field("name", true), field("mail", false)],
  primaryKey: ["id"],
} as unknown as Feed;
const COMMA = { kind: "delimited", delimiter: ",", headerRows: 1 } as DelimitedSettings;

function refusedBy(header: string, settings: DelimitedSettings = COMMA): StageError {
  const columns = [{ name: header, type: "Nullable(String)" }];
  try {
    resolveColumns(FEED, columns);
  } catch (error) {
    return withDelimiter(error, settings, FEED, columns) as StageError;
  }
  throw new Error("the columns were not refused");
}

describe("a header of one column", () => {
  test.each([";", "\t", "|"])("proposes the delimiter %j by which it fits the feed", (value) => {
    const error = refusedBy(["id", '"Name"', "city"].join(value));
    expect(error).toMatchObject({
      code: "schema_mismatch",
      proposed: [{ setting: "delimited.delimiter", value }],
    });
    expect(toStageFailure(error.toFailure()).proposedChange).toMatchObject({
      updateMask: { paths: ["delimited.delimiter"] },
      value: { delimited: { delimiter: value } },
    });
  });

  test("proposes nothing where no delimiter makes it the feed's", () => {
    for (const header of ["ident", "id;nom", "id name"])
      expect(refusedBy(header).proposed).toEqual([]);
    expect(refusedBy("id;name", { ...COMMA, headerRows: 0 }).proposed).toEqual([]);
  });
});

test("XML under other settings proposes the format with the element of a record", () => {
  const document = Buffer.from('<?xml version="1.0"?><all><one id="1"/><one id="2"/></all>');
  let thrown: unknown;
  try {
    assertFormatOf(document, { kind: "json" });
  } catch (error) {
    thrown = error;
  }
  if (!(thrown instanceof StageError)) throw new Error("nothing was refused", { cause: thrown });
  expect(toStageFailure(thrown.toFailure()).proposedChange).toMatchObject({
    updateMask: { paths: ["xml"] },
    value: { xml: { rowElement: "one" } },
  });
});
