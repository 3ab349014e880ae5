import { StageError } from "@sluice/errors";
import type { Transform } from "@sluice/streams";
import { chunked } from "@sluice/streams/testing";
import { type DecompressOptions, decompress } from "../src/index.ts";

/** The stage with its entries' bytes laid end to end, as a stage of bytes. */
export function contents(options: DecompressOptions): Transform<Uint8Array, Uint8Array> {
  return async function* (source) {
    for await (const entry of decompress(options)(source)) yield* entry.bytes;
  };
}

export async function bytesOf(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of source) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** What comes out of `bytes`: the content, or the code that the stage refuses them with. */
export async function outcome(
  bytes: Uint8Array,
  options: DecompressOptions,
  chunkSize = 1000,
): Promise<Buffer | string> {
  try {
    return await bytesOf(contents(options)(chunked(bytes, chunkSize)));
  } catch (error) {
    if (error instanceof StageError && error.stage === "decompress") return error.code;
    throw error;
  }
}
