import { createWriteStream } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { ArchiveSettings_Kind } from "@sluice/api/control/v1/file_settings_pb";
import { type BenchCase, KEY, type Making } from "../bench-case.ts";
import { cachedData } from "../data/cached-data.ts";
import { SIX, selectRows } from "../data/columns.ts";
import { gzipFile, RAW_CSV } from "../data/make-files.ts";
import { shellPeer } from "../peers.ts";
import { PGP_USER } from "../pgp-keys.ts";
import { shell } from "../tools.ts";
import { sixAsParquet } from "./columnar.ts";
import { sixAsCsv } from "./delimited.ts";

const CSV = { format: { case: "delimited", value: {} } } as const;
const ENTRIES = 10;

async function encrypt(from: string, to: string, { pgpKeys }: Making): Promise<void> {
  const { home } = await pgpKeys();
  await shell(
    `gpg --batch --quiet --trust-model always --recipient ${PGP_USER} --output '${to}' --encrypt '${from}'`,
    { GNUPGHOME: home },
  );
}

export const WRAPPED: readonly BenchCase[] = [
  {
    name: "csv-gz-pgp",
    data: "CSV, 2 GB of plaintext, gzip, OpenPGP by gpg's defaults",
    toReach: 1.0,
    beyond: 1.3,
    rows: 20_000_000,
    columns: SIX,
    primaryKey: KEY,
    settings: CSV,
    isPgp: true,
    tools: ["gpg", "gunzip", "curl", "bash"],
    makeData: async (rows, making) =>
      await cachedData({ name: "csv-gz-pgp", rows, version: 1 }, async (folder) => {
        const { path } = await sixAsCsv(rows, making);
        const gzipped = join(folder, "rows.csv.gz");
        await gzipFile(path, gzipped);
        await encrypt(gzipped, `${gzipped}.pgp`, making);
        await rm(gzipped);
      }),
    peer: shellPeer(
      "curl | gpg -d | gunzip | curl",
      "s3_get | gpg --batch --quiet --decrypt | gunzip | insert",
    ),
  },
  {
    name: "parquet-pgp",
    data: "Parquet, 1 GB, OpenPGP by gpg's defaults",
    toReach: 1.0,
    beyond: 1.2,
    rows: 26_000_000,
    columns: SIX,
    primaryKey: KEY,
    settings: { format: { case: "parquet", value: {} } },
    isPgp: true,
    tools: ["gpg", "curl", "bash"],
    makeData: async (rows, making) =>
      await cachedData({ name: "parquet-pgp", rows, version: 1 }, async (folder) => {
        const [file] = await sixAsParquet(rows, making);
        await encrypt(file?.path ?? "", join(folder, "rows.parquet.pgp"), making);
      }),
    peer: {
      name: "curl | gpg to a file, then file()",
      run: async (work) => {
        await work.shell("s3_get | gpg --batch --quiet --decrypt --output rows.parquet");
        const file = join(work.folder, "rows.parquet");
        await work.sql(
          `INSERT INTO ${work.table} SELECT * FROM file('${file}', 'Parquet', '${work.structure.replaceAll("'", "\\'")}')`,
        );
      },
    },
  },
  {
    name: "zip-csv",
    data: `zip of ${ENTRIES} CSV files, 2 GB in all`,
    toReach: 1.0,
    beyond: 1.3,
    rows: 20_000_000,
    columns: SIX,
    primaryKey: KEY,
    settings: { archive: { kind: ArchiveSettings_Kind.ZIP }, ...CSV },
    tools: ["zip", "unzip", "curl", "bash"],
    makeData: async (rows, { files }) =>
      await cachedData({ name: "zip-csv", rows, version: 1 }, async (folder) => {
        const size = Math.floor(rows / ENTRIES);
        for (let entry = 0; entry < ENTRIES; entry++) {
          const count = entry === ENTRIES - 1 ? rows - entry * size : size;
          const query = `${selectRows(SIX, count, entry * size)} ${RAW_CSV}`;
          await pipeline(
            await files.stream(query),
            createWriteStream(join(folder, `part-${entry}.csv`)),
          );
        }
        await shell(`cd '${folder}' && zip -q -m rows.zip part-*.csv`);
      }),
    // unzip wants to seek: the file is put on disk first. Each entry has a header of its own, so each is an insert.
    peer: shellPeer(
      "curl to a file, unzip -p | curl for each entry",
      `s3_get > rows.zip
       for entry in $(unzip -Z1 rows.zip); do unzip -p rows.zip "$entry" | insert; done`,
    ),
  },
];
