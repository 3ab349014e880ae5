import { createReadStream, createWriteStream } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import type { ClickHouseClient } from "@clickhouse/client";
import { type DataColumn, selectRows } from "./columns.ts";

/** Makes files by the server that is measured later: it writes every format, and fast. */
export interface FileMaker {
  /** What a query gives in its FORMAT. */
  stream(query: string): Promise<Readable>;
  write(query: string, path: string): Promise<void>;
}

export function createFileMaker(clickhouse: ClickHouseClient): FileMaker {
  const stream = async (query: string): Promise<Readable> => {
    // Rows of several threads would come in another order every time.
    const { stream } = await clickhouse.exec({ query, clickhouse_settings: { max_threads: 1 } });
    return Readable.from(stream);
  };
  return {
    stream,
    write: async (query, path) => await pipeline(await stream(query), createWriteStream(path)),
  };
}

/** Values as they are, without quotes: most exports quote only what they must. */
export const RAW_CSV =
  "FORMAT CustomSeparatedWithNames SETTINGS format_custom_escaping_rule = 'Raw', format_custom_field_delimiter = ','";

export const csvOf = (columns: readonly DataColumn[], rows: number): string =>
  `${selectRows(columns, rows)} ${RAW_CSV}`;

/** Lines that a query writes as one text each. */
export const linesOf = (text: string, from: string, around: readonly [string, string]): string =>
  `SELECT ${text} FROM ${from} FORMAT CustomSeparated SETTINGS format_custom_escaping_rule = 'Raw', ` +
  `format_custom_result_before_delimiter = '${around[0]}', format_custom_result_after_delimiter = '${around[1]}'`;

export async function gzipFile(from: string, to: string): Promise<void> {
  await pipeline(createReadStream(from), createGzip({ level: 6 }), createWriteStream(to));
}

/** Cuts a CSV file into files of so many rows, each with the header. */
export async function cutIntoFiles(
  csv: Readable,
  folder: string,
  rowsPerFile: number,
): Promise<void> {
  let header: string | undefined;
  let lines: string[] = [];
  let files = 0;
  const close = async (): Promise<void> => {
    if (lines.length === 0) return;
    const name = `${String(files++).padStart(5, "0")}.csv`;
    const file = await open(join(folder, name), "wx");
    await file.writeFile(`${[header, ...lines].join("\n")}\n`);
    await file.close();
    lines = [];
  };
  for await (const line of createInterface({ input: csv })) {
    if (header === undefined) header = line;
    else lines.push(line);
    if (lines.length === rowsPerFile) await close();
  }
  await close();
}
