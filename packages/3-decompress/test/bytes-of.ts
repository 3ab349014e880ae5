import { StageError } from "@sluice/errors";
import { chunked } from "@sluice/streams/testing";
import { type DecompressOptions, decompress } from "../src/index.ts";

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
    return await bytesOf(decompress(options)(chunked(bytes, chunkSize)));
  } catch (error) {
    if (error instanceof StageError && error.stage === "decompress") return error.code;
    throw error;
  }
}
