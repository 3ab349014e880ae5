import { join } from "node:path";
import { type BenchCase, KEY, type Making } from "../bench-case.ts";
import { cachedData, type DataFile } from "../data/cached-data.ts";
import { column, type DataColumn, hexText, SIX, wide } from "../data/columns.ts";
import { csvOf, cutIntoFiles, gzipFile, RAW_CSV } from "../data/make-files.ts";
import { s3Peer } from "../peers.ts";

const CSV = { format: { case: "delimited", value: {} } } as const;
const BOTH_CSV = { toReach: 0.9, beyond: 1.1, primaryKey: KEY, settings: CSV } as const;

async function csvFile(
  name: string,
  query: string,
  rows: number,
  { files }: Making,
): Promise<DataFile[]> {
  return await cachedData({ name, rows, version: 1 }, async (folder) => {
    await files.write(query, join(folder, `${name}.csv`));
  });
}

/** The six columns as text. */
export async function sixAsCsv(rows: number, making: Making): Promise<DataFile> {
  const [file] = await csvFile("csv", csvOf(SIX, rows), rows, making);
  if (file === undefined) throw new Error("no file was made");
  return file;
}

/** A note that has all that needs quoting, in every third row; and plain words in the others. */
const NOTE = `if(number % 3 = 0, concat('He said "', ${hexText(7, 6)}, '", twice\\nand left, ', ${hexText(8, 6)}), concat('note ', ${hexText(7, 10)}))`;
const QUOTED: readonly DataColumn[] = [...SIX.slice(0, 5), column("note", "String", NOTE)];

const WIDE = wide(200);

/** One row of a hundred has words where money should be. */
const BAD_ROW = "number % 100 = 57";

/** The values as they stand in the file, `text` in the place of one of them. */
const csvWith = (
  columns: readonly DataColumn[],
  rows: number,
  replaced: string,
  text: (value: string) => string,
): string =>
  `SELECT ${columns
    .map(({ name, value }) => `${name === replaced ? text(value) : value} AS ${name}`)
    .join(", ")} FROM numbers(${rows}) ${RAW_CSV}`;

export const DELIMITED: readonly BenchCase[] = [
  {
    ...BOTH_CSV,
    name: "csv",
    data: "CSV, 10 M rows x 6 columns",
    rows: 10_000_000,
    columns: SIX,
    makeData: async (rows, making) => [await sixAsCsv(rows, making)],
    peer: s3Peer("CSVWithNames"),
  },
  {
    ...BOTH_CSV,
    name: "csv-gz",
    data: "the same, gzip",
    rows: 10_000_000,
    columns: SIX,
    makeData: async (rows, making) =>
      await cachedData({ name: "csv-gz", rows, version: 1 }, async (folder) => {
        const { path } = await sixAsCsv(rows, making);
        await gzipFile(path, join(folder, "rows.csv.gz"));
      }),
    peer: s3Peer("CSVWithNames"),
  },
  {
    ...BOTH_CSV,
    name: "csv-quoted",
    data: "CSV, 10 M rows x 6 columns, quotes, doubled quotes and newlines in a third of the rows",
    rows: 10_000_000,
    columns: QUOTED,
    makeData: async (rows, making) =>
      await csvFile(
        "csv-quoted",
        csvWith(
          QUOTED,
          rows,
          "note",
          (value) =>
            `if(number % 3 = 0, concat('"', replaceAll(${value}, '"', '""'), '"'), ${value})`,
        ),
        rows,
        making,
      ),
    peer: s3Peer("CSVWithNames"),
  },
  {
    ...BOTH_CSV,
    name: "csv-wide",
    data: "CSV, 500 k rows x 200 columns",
    rows: 500_000,
    columns: WIDE,
    makeData: async (rows, making) => await csvFile("csv-wide", csvOf(WIDE, rows), rows, making),
    peer: s3Peer("CSVWithNames"),
  },
  {
    ...BOTH_CSV,
    name: "small-files",
    data: "5,000 CSV files of 200 rows x 6 columns",
    toReach: 0.7,
    beyond: 1.0,
    rows: 1_000_000,
    columns: SIX,
    hasManyFiles: true,
    makeData: async (rows, { files }) =>
      await cachedData({ name: "small-files", rows, version: 1 }, async (folder) => {
        await cutIntoFiles(await files.stream(csvOf(SIX, rows)), folder, 200);
      }),
    peer: { ...s3Peer("CSVWithNames"), name: "s3() with a glob" },
  },
  {
    ...BOTH_CSV,
    name: "rejects",
    data: "CSV, 10 M rows x 6 columns, 1 % of the rows bad",
    toReach: 0.8,
    beyond: 1.0,
    rows: 10_000_000,
    columns: SIX,
    feed: { errorThresholdPercent: 5 },
    makeData: async (rows, making) =>
      await csvFile(
        "rejects",
        csvWith(SIX, rows, "amount", (value) => `if(${BAD_ROW}, 'twelve', toString(${value}))`),
        rows,
        making,
      ),
    // The share is judged at every row of every piece that is parsed: without a number, the first bad row of one ends it.
    peer: s3Peer(
      "CSVWithNames",
      "input_format_allow_errors_ratio = 0.05, input_format_allow_errors_num = 10000",
    ),
  },
];
