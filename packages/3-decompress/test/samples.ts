import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { brotliCompressSync, constants, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import type { COMPRESSIONS } from "@sluice/schema";
import { createCompressStream } from "snappy";
import { bytesOf } from "./bytes-of.ts";

export type CompressionName = (typeof COMPRESSIONS)[number];

/** A file in `compressed`, written by the tool of its format: this machine may have none. */
export const file = (name: string): Buffer =>
  readFileSync(new URL(`./compressed/${name}`, import.meta.url));

/** snappy's framing format by Rust's snap, the second implementation. */
export async function snappyFramed(bytes: Uint8Array): Promise<Buffer> {
  const stream = createCompressStream();
  stream.end(bytes);
  return await bytesOf(stream);
}

export const zstdChecked = (bytes: Uint8Array): Buffer =>
  zstdCompressSync(bytes, { params: { [constants.ZSTD_c_checksumFlag]: 1 } });

/** What every sample holds. */
export const rows: Buffer = file("rows.csv");

/** The same rows by every codec, once with every check that the format has. */
export const SAMPLES: readonly (readonly [CompressionName, Buffer])[] = [
  ["gzip", gzipSync(rows)],
  ["zstd", zstdChecked(rows)],
  ["bzip2", file("rows.csv.bz2")],
  ["xz", file("rows.csv.xz")],
  ["lz4", file("rows.csv.lz4")],
  ["snappy", await snappyFramed(rows)],
  ["brotli", brotliCompressSync(rows)],
  ["deflate", deflateSync(rows)],
];

export function sample(name: CompressionName): Buffer {
  const found = SAMPLES.find(([codec]) => codec === name);
  if (found === undefined) throw new Error(`no sample of ${name}`);
  return found[1];
}

/** Whether a tool is there to be the second implementation. */
export function isPresent(tool: string, ...probe: string[]): boolean {
  try {
    execFileSync(tool, probe, { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}
