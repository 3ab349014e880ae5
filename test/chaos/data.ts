import { gzipSync } from "node:zlib";
import { ArchiveSettings_Kind, Compression } from "@sluice/api/control/v1/file_settings_pb";
import { parquetWriteBuffer } from "hyparquet-writer";
import { createMessage, encrypt, type PrivateKey } from "openpgp";
import { LAYERS } from "../e2e/layers.ts";
import { CSV, type FileSettings, PARQUET } from "../e2e/story.ts";
import type { Random } from "./random.ts";

/** A row as ClickHouse prints it. The truth: no parser of ours has ever seen it. */
export interface Row {
  readonly id: string;
  readonly name: string;
  readonly amount: string;
  readonly day: string;
}

/** Rows of one batch, and of one row group: a file has several of either. */
export const BATCH_ROWS = 400;

const NAMES = [
  "Ada",
  'says "hi"',
  "comma, inside",
  "line\nbreak",
  "日向 翔",
  "Jörg 🚀",
  "O'Brien; --",
];

/** Rows that the seed decides, with some that stand there twice: a customer's duplicates are no mistake of ours. */
export function makeRows(random: Random, count: number, firstId: number, idSpan: number): Row[] {
  const rows: Row[] = [];
  while (rows.length < count) {
    const cents = random.below(10_000_000) - 5_000_000;
    const whole = Math.trunc(Math.abs(cents) / 100);
    const rest = String(Math.abs(cents) % 100)
      .padStart(2, "0")
      .replace(/0+$/, "");
    const row: Row = {
      id: String(firstId + random.below(idSpan)),
      name: `${random.pick(NAMES)} ${random.below(1_000_000)}`,
      amount: `${cents < 0 ? "-" : ""}${whole}${rest === "" ? "" : `.${rest}`}`,
      day: `20${10 + random.below(16)}-${String(1 + random.below(12)).padStart(2, "0")}-${String(1 + random.below(28)).padStart(2, "0")}`,
    };
    rows.push(row);
    if (random.below(40) === 0) rows.push(row);
  }
  return rows;
}

const COLUMNS = ["id", "name", "amount", "day"] as const;

function toCsv(rows: readonly Row[]): Buffer {
  const cell = (text: string): string =>
    /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  const lines = rows.map((row) => COLUMNS.map((name) => cell(row[name])).join(","));
  return Buffer.from(`${[COLUMNS.join(","), ...lines].join("\n")}\n`);
}

function toParquet(rows: readonly Row[]): Uint8Array {
  const text = (name: "name" | "amount" | "day") =>
    ({ name, data: rows.map((row) => row[name]), type: "STRING" }) as const;
  return new Uint8Array(
    parquetWriteBuffer({
      rowGroupSize: BATCH_ROWS,
      columnData: [
        { name: "id", data: rows.map(({ id }) => BigInt(id)), type: "INT64" },
        text("name"),
        text("amount"),
        text("day"),
      ],
    }),
  );
}

export type FormatName = "csv" | "csv.gz" | "csv.pgp" | "zip" | "zip.pgp" | "parquet";
export const FORMATS: readonly FormatName[] = [
  "csv",
  "csv.gz",
  "csv.pgp",
  "zip",
  "zip.pgp",
  "parquet",
];

/** What opens and what makes the files of a stack. */
export interface Keys {
  readonly key: PrivateKey;
  readonly credentialId: string;
}

export async function toFile(
  format: FormatName,
  rows: readonly Row[],
  { key }: Keys,
): Promise<Buffer> {
  const sealed = async (binary: Uint8Array): Promise<Buffer> => {
    const message = await createMessage({ binary });
    // Not compressed: damage has to be found by the message's own integrity check.
    const encryptionKeys = key.toPublic();
    return Buffer.from(
      (await encrypt({ message, encryptionKeys, format: "binary" })) as Uint8Array,
    );
  };
  const zipped = async (bytes: Uint8Array): Promise<Uint8Array> => {
    const wrapped = await LAYERS.find(({ name }) => name === "zip")?.wrap?.(bytes);
    if (wrapped === undefined) throw new Error("nothing writes zip files");
    return wrapped;
  };
  switch (format) {
    case "csv":
      return toCsv(rows);
    case "csv.gz":
      return gzipSync(toCsv(rows));
    case "csv.pgp":
      return await sealed(toCsv(rows));
    case "zip":
      return Buffer.from(await zipped(toCsv(rows)));
    case "zip.pgp":
      return await sealed(await zipped(toCsv(rows)));
    case "parquet":
      return Buffer.from(toParquet(rows));
  }
}

export function settingsOf(format: FormatName, { credentialId }: Keys): FileSettings {
  const encryption = { case: "pgp", value: { credentialId } } as const;
  const archive = { kind: ArchiveSettings_Kind.ZIP };
  switch (format) {
    case "csv":
      return { ...CSV, compression: Compression.NONE };
    case "csv.gz":
      return { ...CSV, compression: Compression.GZIP };
    case "csv.pgp":
      return { ...CSV, encryption };
    case "zip":
      return { ...CSV, archive };
    case "zip.pgp":
      return { ...CSV, archive, encryption };
    case "parquet":
      return PARQUET;
  }
}
