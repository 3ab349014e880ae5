import { create } from "@bufbuild/protobuf";
import { LoadOperation } from "@sluice/api/control/v1/courier_pb";
import { ArchiveSettings_Kind, JsonSettings_Shape } from "@sluice/api/control/v1/file_settings_pb";
import {
  ImportLegacyCourierRequestSchema,
  LegacyFinding_Severity,
} from "@sluice/api/control/v1/legacy_import_pb";
import { describe, expect, test } from "vitest";
import { importLegacy, type LegacyImport } from "../src/couriers/legacy/import-legacy.ts";

interface Legacy {
  readonly entities?: unknown;
  readonly loads?: unknown;
  readonly feedIds?: Record<string, string>;
  readonly queries?: Record<string, string>;
  readonly pgp?: string;
  readonly bucket?: string;
}

function imported(of: Legacy): LegacyImport {
  const text = (value: unknown): string =>
    typeof value === "string" ? value : JSON.stringify(value, undefined, 2);
  const request = create(ImportLegacyCourierRequestSchema, {
    name: "Legacy",
    credentialId: "cred",
    entitiesJson: text(of.entities ?? [file("'a-'yyyy'.csv'", { "file/tag": "a" })]),
    loadOperationsJson: text(of.loads ?? {}),
    feedIds: of.feedIds ?? { F: "feed_1" },
    ingestQueries: of.queries ?? {},
    pgpCredentialId: of.pgp ?? "",
    bucket: of.bucket ?? "",
  });
  return importLegacy(request, "acme");
}

function file(pattern: string, landAs: Record<string, unknown>): Record<string, unknown> {
  const type = { "file/content-type": "text/csv" };
  return {
    "object/type": "file",
    "object/file-pattern": pattern,
    "object/land-as": { ...type, ...landAs },
  };
}

const SEVERITIES: Record<LegacyFinding_Severity, string> = {
  [LegacyFinding_Severity.UNSPECIFIED]: "",
  [LegacyFinding_Severity.ERROR]: "ERROR",
  [LegacyFinding_Severity.WARNING]: "WARNING",
  [LegacyFinding_Severity.INFO]: "INFO",
};

/** What was found, as "SEVERITY code pointer". */
function told({ findings }: LegacyImport): string[] {
  return findings.map(
    ({ severity, code, pointer }) => `${SEVERITIES[severity]} ${code} ${pointer}`,
  );
}

describe("a content type", () => {
  test.each([
    ["text/csv", { case: "delimited", value: { delimiter: "," } }],
    ["text/tab-separated-values", { case: "delimited", value: { delimiter: "\t" } }],
    ["text/pipe-separated-values", { case: "delimited", value: { delimiter: "|" } }],
    ["application/json", { case: "json", value: { shape: JsonSettings_Shape.RECORDS } }],
    ["application/x-ndjson", { case: "json", value: { shape: JsonSettings_Shape.LINES } }],
    [
      "application/x-json-stream",
      { case: "json", value: { shape: JsonSettings_Shape.CONCATENATED } },
    ],
    ["application/xml", { case: "xml", value: { rowElement: "row" } }],
    ["application/avro", { case: "avro", value: {} }],
    ["application/x-parquet", { case: "parquet", value: {} }],
  ])("%s is a format of ours", (contentType, format) => {
    const entities = [file("'a'", { "file/tag": "a", "file/content-type": contentType })];
    const { courier, findings } = imported({ entities });
    expect(courier?.files?.[0]?.settings).toMatchObject({ format });
    expect(findings.map(({ code }) => code)).toEqual(["loads_nothing"]);
  });

  test("of the other product's own is refused by its name", () => {
    const type = "application/ingest-pack+cbor";
    const result = imported({ entities: [file("'a'", { "file/content-type": type })] });
    expect(result.courier).toBeUndefined();
    const finding = result.findings.find(({ code }) => code === "content_type_refused");
    expect(finding?.message).toContain(type);
    expect(finding?.suggestion).toContain("Parquet");
  });
});

describe("entities", () => {
  test("an archive's contents are entries, by name or by pattern, all optional when missing ones are skipped", () => {
    const landAs = (tag: string): unknown => ({
      "subobject/land-as": { "file/tag": tag, "file/content-type": "text/csv" },
    });
    const { courier } = imported({
      entities: [
        {
          "object/type": "archive",
          "object/optional": true,
          "object/file-pattern": "'x-'yyyy-MM-dd'.tar.gz'",
          "archive/contents": { "a.csv": landAs("a"), "dir/f_*.csv": landAs("f") },
          "archive/skip-missing-contents": true,
        },
      ],
    });
    expect(courier?.files).toMatchObject([
      {
        optional: true,
        settings: {
          archive: {
            kind: ArchiveSettings_Kind.TAR,
            entries: [
              { tag: "a", optional: true, selection: { case: "name", value: "a.csv" } },
              { tag: "f", optional: true, selection: { case: "pattern", value: "'dir/f_*.csv'" } },
            ],
          },
        },
      },
    ]);
  });

  test("what is wrong is told with its pointer, its place and what to write instead", () => {
    const entities = `[
  {"object/type": "file", "object/file-pattern": "orders-yyyy", "object/land-as": {}},
  {"object/type": "folder", "object/file-pattern": "'a'"},
  {"object/type": "file", "object/file-pattern": "'b'"},
  {"object/type": "file", "object/file-pattern": "'c.csv'",
   "object/land-as": {"file/tag": "c", "file/content-type": "text/csv", "file/separater": ";", "file/quote": "''"}}
]`;
    const result = imported({ entities });
    expect(told(result)).toEqual([
      "ERROR pattern_invalid /0/object~1file-pattern",
      "ERROR object_type_unknown /1/object~1type",
      "ERROR land_as_missing /2",
      "WARNING member_unknown /3/object~1land-as/file~1separater",
      "ERROR quote_too_long /3/object~1land-as/file~1quote",
      "INFO loads_nothing ",
    ]);
    expect(result.findings[0]).toMatchObject({ document: "entities_json", line: 2, column: 50 });
    expect(
      result.findings.filter(({ severity, suggestion }) => severity === 1 && suggestion === ""),
    ).toEqual([]);
  });

  test("text that is no JSON is told by line and character", () => {
    const { findings } = imported({ entities: '[\n  {"object/type": "file",}\n]' });
    expect(findings[0]).toMatchObject({ code: "not_json", line: 2, column: 26 });
    expect(told(imported({ entities: "[] // none" }))[0]).toMatch(/not_json/);
    expect(
      told(imported({ entities: '[{"object/type": "file", "object/type": "file"}]' })),
    ).toContain("ERROR member_repeated /0/object~1type");
  });

  test("header rows, YYYY, an encrypted name and another bucket", () => {
    const entities = [file("'a-'YYYY'.csv.pgp'", { "file/tag": "a", "file/header-rows": 3 })];
    const without = imported({ entities, bucket: "other" });
    expect(told(without)).toEqual([
      "ERROR bucket_differs ",
      "WARNING pattern_year /0/object~1file-pattern",
      "ERROR pgp_credential_missing /0/object~1file-pattern",
      "WARNING header_rows_many /0/object~1land-as/file~1header-rows",
      "INFO loads_nothing ",
    ]);
    const { courier } = imported({ entities, pgp: "cred_pgp" });
    expect(courier?.files?.[0]?.settings).toMatchObject({
      encryption: { case: "pgp", value: { credentialId: "cred_pgp" } },
      format: { case: "delimited", value: { headerRows: 1, skipRows: 2 } },
    });
  });
});

describe("load operations", () => {
  test("truncate runs first wherever it stands", () => {
    const load = { type: "load", file: "a" };
    for (const operations of [
      [{ type: "truncate" }, load],
      [load, { type: "truncate" }],
    ]) {
      const { courier } = imported({ loads: { F: operations } });
      const operation = LoadOperation.TRUNCATE_AND_LOAD;
      expect(courier?.loads).toEqual([
        { fileTag: "a", feed: { case: "feedId", value: "feed_1" }, operation },
      ]);
    }
    expect(told(imported({ loads: { F: [load, { type: "truncate" }] } }))).toEqual([
      "INFO truncate_first /F/1",
    ]);
    expect(told(imported({ loads: { F: [{ type: "truncate" }] } }))).toEqual([
      "ERROR truncate_alone /F/0",
    ]);
  });

  test("made-up feed ids are explained and left out, unknown ones refused", () => {
    const load = [{ type: "load", file: "a" }];
    const made = imported({ loads: { "df-xxxxxx": load } });
    expect(told(made)).toEqual(["WARNING feed_made_up /df-xxxxxx"]);
    expect(made.findings[0]?.message).toContain("Cannot find required feeds");
    expect(made.courier?.loads).toEqual([]);
    expect(told(imported({ loads: { "df-1": load } }))).toEqual(["ERROR feed_unknown /df-1"]);
    expect(told(imported({ loads: { "df-1": load }, feedIds: { "df-1": "" } }))).toEqual([
      "INFO feed_left_out /df-1",
    ]);
  });

  test("types and tags that are not there are told with what is", () => {
    const result = imported({
      loads: { F: [{ type: "OPERATION" }, { type: "upsert" }, { type: "load", file: "b" }] },
    });
    expect(told(result)).toEqual([
      "ERROR type_unknown /F/0/type",
      "ERROR type_unknown /F/1/type",
      "ERROR tag_unknown /F/2/file",
    ]);
    expect(result.findings[2]?.suggestion).toBe('write one of "a"');
  });

  test("an ingest query takes its SQL from the request, and its options go to the file", () => {
    const query = (options: unknown): unknown => ({
      F: [
        {
          type: "spark-sql",
          "spark-sql-files": [{ file: "a", options, schema: { type: "struct", fields: [] } }],
          "spark-sql-query": "Q",
        },
      ],
    });
    const options = { delimiter: ";", escape: "\\", multiline: "true", quote: "'", rowTag: "row" };
    const result = imported({ loads: query(options), queries: { Q: "SELECT 1" } });
    expect(told(result)).toEqual([
      "WARNING option_useless /F/0/spark-sql-files/0/options/rowTag",
      "INFO schema_left_out /F/0/spark-sql-files/0/schema",
    ]);
    expect(result.courier).toMatchObject({
      files: [
        {
          settings: {
            format: { case: "delimited", value: { delimiter: ";", escape: "\\", quote: "'" } },
          },
        },
      ],
      loads: [{ ingestQuery: { sql: "SELECT 1", fileTags: ["a"] } }],
    });
    // Spark escapes inside of quotes alone.
    const unquoted = imported({
      loads: query({ escape: "\\", quote: "" }),
      queries: { Q: "SELECT 1" },
    });
    expect(told(unquoted)).toEqual([
      "WARNING option_useless /F/0/spark-sql-files/0/options/escape",
      "INFO schema_left_out /F/0/spark-sql-files/0/schema",
    ]);
    expect(unquoted.courier?.files?.[0]?.settings?.format).toEqual({
      case: "delimited",
      value: { delimiter: ",", quote: "" },
    });
    expect(told(imported({ loads: query({}) }))).toContain(
      "ERROR query_missing /F/0/spark-sql-query",
    );
    const xml = [file("'a.xml'", { "file/tag": "a", "file/content-type": "application/xml" })];
    const rows = imported({
      entities: xml,
      loads: query({ rowTag: "o" }),
      queries: { Q: "SELECT 1" },
    });
    expect(rows.courier?.files?.[0]?.settings).toMatchObject({
      format: { case: "xml", value: { rowElement: "o" } },
    });
  });
});
