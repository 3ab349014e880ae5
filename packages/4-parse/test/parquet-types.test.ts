import { parquetWriteBuffer } from "hyparquet-writer";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Server, startServer } from "./clickhouse.ts";
import { openBytes } from "./parquet-file.ts";
import { serveFiles } from "./served-files.ts";

type Element = NonNullable<Parameters<typeof parquetWriteBuffer>[0]["schema"]>[number];

/** A file of one optional column whose one value is null: here only its type matters. */
function write(element: Partial<Element>): Uint8Array {
  return new Uint8Array(
    parquetWriteBuffer({
      columnData: [{ name: "x", data: [null] }],
      schema: [
        { name: "root", num_children: 1 },
        { name: "x", repetition_type: "OPTIONAL", ...element },
      ],
    }),
  );
}

const fixed = (type_length: number): Partial<Element> => ({
  type: "FIXED_LEN_BYTE_ARRAY",
  type_length,
});
const ELEMENTS: Record<string, Partial<Element>> = {
  boolean: { type: "BOOLEAN" },
  int32: { type: "INT32" },
  int64: { type: "INT64" },
  float: { type: "FLOAT" },
  double: { type: "DOUBLE" },
  bytes: { type: "BYTE_ARRAY" },
  "fixed bytes": fixed(7),
  text: { type: "BYTE_ARRAY", converted_type: "UTF8" },
  "fixed text": { ...fixed(3), converted_type: "UTF8" },
  enum: { type: "BYTE_ARRAY", converted_type: "ENUM" },
  bson: { type: "BYTE_ARRAY", converted_type: "BSON" },
  interval: { ...fixed(12), converted_type: "INTERVAL" },
  uuid: { ...fixed(16), logical_type: { type: "UUID" } },
  float16: { ...fixed(2), logical_type: { type: "FLOAT16" } },
  unknown: { type: "INT32", logical_type: { type: "NULL" } },
  date: { type: "INT32", converted_type: "DATE" },
  "time in ms": { type: "INT32", converted_type: "TIME_MILLIS" },
  "time in us": { type: "INT64", converted_type: "TIME_MICROS" },
  "time in ns": {
    type: "INT64",
    logical_type: { type: "TIME", isAdjustedToUTC: true, unit: "NANOS" },
  },
  "timestamp in ms": { type: "INT64", converted_type: "TIMESTAMP_MILLIS" },
  "timestamp in us": { type: "INT64", converted_type: "TIMESTAMP_MICROS" },
  "timestamp in ns, local": {
    type: "INT64",
    logical_type: { type: "TIMESTAMP", isAdjustedToUTC: false, unit: "NANOS" },
  },
  "decimal in int32": { type: "INT32", converted_type: "DECIMAL", precision: 9, scale: 2 },
  "decimal in int64": { type: "INT64", converted_type: "DECIMAL", precision: 18, scale: 18 },
  "decimal in fixed bytes": { ...fixed(16), converted_type: "DECIMAL", precision: 38, scale: 0 },
  "decimal in bytes": { type: "BYTE_ARRAY", converted_type: "DECIMAL", precision: 60, scale: 9 },
  ...Object.fromEntries(
    (["INT_8", "INT_16", "INT_32", "UINT_8", "UINT_16", "UINT_32"] as const).map((name) => [
      name,
      { type: "INT32", converted_type: name },
    ]),
  ),
  INT_64: { type: "INT64", converted_type: "INT_64" },
  UINT_64: { type: "INT64", converted_type: "UINT_64" },
};

describe("the type of a Parquet column", () => {
  let server: Server;
  let served: Awaited<ReturnType<typeof serveFiles>>;
  beforeAll(async () => {
    server = await startServer();
    served = await serveFiles((name) => write(ELEMENTS[name] ?? JSON_TEXT));
  }, 60_000);
  afterAll(async () => {
    await served[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });

  const JSON_TEXT: Partial<Element> = { type: "BYTE_ARRAY", converted_type: "JSON" };

  test.each(Object.keys(ELEMENTS))("of %s is the one that ClickHouse reads it as", async (name) => {
    const source = `url('${served.origin}/${encodeURIComponent(name)}', Parquet)`;
    const answer = await server.query(`DESCRIBE TABLE ${source} FORMAT JSONCompactEachRow`);
    const [, described] = JSON.parse(answer);
    const file = await openBytes(write(ELEMENTS[name] ?? {}));
    expect(file.columns).toEqual([{ name: "x", type: described }]);
  });

  test("of JSON is text, which ClickHouse gives as it stands when asked", async () => {
    const file = await openBytes(write(JSON_TEXT));
    expect(file.columns).toEqual([{ name: "x", type: "Nullable(String)" }]);
    const source = `url('${served.origin}/json', Parquet, 'x Nullable(String)')`;
    expect(await server.query(`SELECT x FROM ${source}`)).toBe("\\N\n");
  });
});
