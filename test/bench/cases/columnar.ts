import { join } from "node:path";
import { type BenchCase, KEY } from "../bench-case.ts";
import { cachedData } from "../data/cached-data.ts";
import { type DataColumn, SIX, selectRows, wide } from "../data/columns.ts";
import { s3Peer } from "../peers.ts";

const PARQUET = { format: { case: "parquet", value: {} } } as const;

function parquetData(
  name: string,
  columns: readonly DataColumn[],
  settings: string,
): BenchCase["makeData"] {
  return async (rows, { files }) =>
    await cachedData({ name, rows, version: 1 }, async (folder) => {
      const query = `${selectRows(columns, rows)} FORMAT Parquet SETTINGS ${settings}`;
      await files.write(query, join(folder, `${name}.parquet`));
    });
}

/** Row groups of a million rows, zstd: what many writers do by themselves. */
export const sixAsParquet: BenchCase["makeData"] = parquetData(
  "parquet",
  SIX,
  "output_format_parquet_compression_method = 'zstd', output_format_parquet_row_group_size = 1000000",
);

const WIDE = wide(200);

/** What DESIGN.md promises of slices. */
const SLICES_CPU_SECONDS = 0.1;

export const COLUMNAR: readonly BenchCase[] = [
  {
    name: "parquet",
    data: "Parquet, 10 M rows x 6 columns, row groups of 1 M rows, zstd",
    toReach: 0.9,
    beyond: 1.1,
    rows: 10_000_000,
    columns: SIX,
    primaryKey: KEY,
    settings: PARQUET,
    makeData: sixAsParquet,
    peer: s3Peer("Parquet"),
    maxCpuSecondsPerMillionRows: SLICES_CPU_SECONDS,
  },
  {
    name: "parquet-wide",
    data: "Parquet, 1 M rows x 200 columns, row groups of 100 k rows, snappy",
    toReach: 0.9,
    beyond: 1.1,
    rows: 1_000_000,
    columns: WIDE,
    primaryKey: KEY,
    settings: PARQUET,
    makeData: parquetData(
      "parquet-wide",
      WIDE,
      "output_format_parquet_compression_method = 'snappy', output_format_parquet_row_group_size = 100000",
    ),
    peer: s3Peer("Parquet"),
  },
  {
    name: "avro",
    data: "Avro, 10 M rows x 6 columns, snappy",
    toReach: 1.0,
    beyond: 1.3,
    rows: 10_000_000,
    columns: SIX,
    primaryKey: KEY,
    settings: { format: { case: "avro", value: {} } },
    makeData: async (rows, { files }) =>
      await cachedData({ name: "avro", rows, version: 1 }, async (folder) => {
        const settings = "output_format_avro_codec = 'snappy'";
        const query = `${selectRows(SIX, rows)} FORMAT Avro SETTINGS ${settings}`;
        await files.write(query, join(folder, "rows.avro"));
      }),
    peer: s3Peer("Avro"),
  },
];
