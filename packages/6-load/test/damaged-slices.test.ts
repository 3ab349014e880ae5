import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  createStaging,
  type LoadTotals,
  loadSlices,
  prepareDomainTable,
  resolveColumns,
  type Warehouse,
} from "../src/index.ts";
import {
  feedOf,
  field,
  manifestObject,
  startTestServer,
  streamOf,
  type TestServer,
} from "./server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
}, 60_000);
afterAll(async () => await server.stop());

const feed = feedOf([field("id", "integer"), field("s", "string")], { source: "damaged" });
const ROWS = 500;

beforeEach(async () => {
  await server.admin("DROP DATABASE IF EXISTS damaged SYNC");
  await prepareDomainTable(server.warehouse, feed);
  await createStaging(server.warehouse, { source: "damaged", name: "customers" }, "w");
});

const staged = async (): Promise<number> => {
  const [found] = await server.rows<{ n: number }>(
    "SELECT toUInt32(count()) AS n FROM damaged.customers__stg_w",
  );
  return found?.n ?? -1;
};

async function load(
  warehouse: Warehouse,
  format: "Parquet" | "ArrowStream",
  tries: readonly Uint8Array[],
): Promise<LoadTotals> {
  let opened = 0;
  return await loadSlices({
    warehouse,
    feed,
    workflowId: "w",
    object: manifestObject({ key: "in/a.parquet" }),
    entry: "inner.parquet",
    rowBase: 0,
    plan: resolveColumns(feed, [
      { name: "id", type: "Nullable(Int64)" },
      { name: "s", type: "Nullable(String)" },
    ]),
  })(
    streamOf({
      format,
      ordinal: 3,
      firstRow: 901,
      rows: ROWS,
      byteLength: tries[0]?.byteLength ?? 0,
      byteOffset: 4711,
      identity: "same",
      open: () => streamOf(tries[Math.min(opened++, tries.length - 1)] ?? new Uint8Array()),
    }),
  );
}

const codecs = [
  ["Parquet", "none"],
  ["Parquet", "snappy"],
  ["Parquet", "zstd"],
  ["Parquet", "gzip"],
  ["Parquet", "lz4"],
  ["Parquet", "brotli"],
  ["ArrowStream", "none"],
  ["ArrowStream", "zstd"],
  ["ArrowStream", "lz4_frame"],
] as const;

const written = async (format: string, codec: string): Promise<Uint8Array> =>
  await server.bytes(
    `SELECT toInt64(number) AS id, repeat(toString(number), 5) AS s FROM numbers(${ROWS}) SETTINGS output_format_${format === "Parquet" ? "parquet" : "arrow"}_compression_method = '${codec}' FORMAT ${format}`,
  );

describe("bytes that ClickHouse cannot decode", () => {
  test.each(codecs)(
    "are the file's fault, never tried for ever: %s with %s",
    async (format, codec) => {
      const whole = await written(format, codec);
      const cases = [
        whole.fill(0xff, 0, whole.length >> 3),
        Uint8Array.from(whole, () => 0),
        (await written(format, codec)).subarray(0, whole.length >> 1),
      ];
      for (const damaged of cases) {
        await expect(load(server.warehouse, format, [damaged])).rejects.toMatchObject({
          stage: "parse",
          code: "malformed",
          retry: "after_change",
          coordinate: {
            key: "in/a.parquet",
            entry: "inner.parquet",
            row: 901,
            byteOffset: 4711,
          },
        });
      }
      expect(await staged()).toBe(0);
    },
  );

  test("are read once more: what was damaged on the way alone is loaded", async () => {
    const whole = await written("Parquet", "zstd");
    const totals = await load(server.warehouse, "Parquet", [whole.slice().fill(0, 4, 400), whole]);
    expect(totals).toEqual({ batches: 1, rows: ROWS, rejected: 0 });
    expect(await staged()).toBe(ROWS);
  });

  test("end in an error of a fixed kind wherever a byte is flipped", async () => {
    const whole = await written("Parquet", "zstd");
    const codes = new Set<string>();
    for (let at = 0; at < whole.length; at += Math.ceil(whole.length / 60)) {
      const damaged = whole.slice();
      damaged[at] = (damaged[at] ?? 0) ^ 0xff;
      const failure = await load(server.warehouse, "Parquet", [damaged]).catch((e: unknown) => e);
      if (failure instanceof Error && "stage" in failure && "code" in failure) {
        codes.add(`${failure.stage}.${failure.code}`);
        expect(failure).not.toMatchObject({ retry: "automatic" });
      }
      await server.admin("TRUNCATE TABLE damaged.customers__stg_w");
    }
    expect(codes).toContain("parse.malformed");
  });
});
