import { StageError } from "@sluice/errors";
import type { Entry } from "@sluice/schema";
import { chunked } from "@sluice/streams/testing";
import { type ArchiveOptions, openZip, unarchiveTar, type ZipFile } from "../src/index.ts";
import { bytesOf } from "./bytes-of.ts";

/** Entries as name and content, in order. */
export type Contents = (readonly [name: string, content: Buffer])[];

export async function contentsOf(entries: AsyncIterable<Entry>): Promise<Contents> {
  const contents: Contents = [];
  for await (const { name, bytes } of entries) contents.push([name, await bytesOf(bytes)]);
  return contents;
}

/** The contents, or the code that the archive is refused with. */
export async function codeOr(entries: AsyncIterable<Entry>): Promise<Contents | string> {
  try {
    return await contentsOf(entries);
  } catch (error) {
    if (error instanceof StageError && error.stage === "decompress") return error.code;
    throw error;
  }
}

/** A zip that lies in memory, read in chunks. */
export function zipFile(bytes: Buffer, chunkSize = 65_536): ZipFile {
  return {
    size: bytes.byteLength,
    readRange: (start, end) => chunked(bytes.subarray(start, end), chunkSize),
  };
}

export const zipOutcome = (
  bytes: Buffer,
  options: ArchiveOptions = {},
  chunkSize = 65_536,
): Promise<Contents | string> => codeOr(openZip(zipFile(bytes, chunkSize), options));

export const tarOutcome = (
  bytes: Uint8Array,
  options: ArchiveOptions = {},
  chunkSize = 65_536,
): Promise<Contents | string> => codeOr(unarchiveTar(options)(chunked(bytes, chunkSize)));
