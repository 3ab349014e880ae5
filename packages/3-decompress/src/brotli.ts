import { createBrotliDecompress } from "node:zlib";
import { StageError } from "@sluice/errors";
import { createByteReader } from "@sluice/streams";
import { damageOf } from "./damage.ts";
import { createMeter, type Limits } from "./limits.ts";
import { assertNothingFollows } from "./next-frame.ts";
import { driveEngine, isEarlyEnd, OUTPUT_CHUNK_BYTES, runToEnd } from "./zlib-engine.ts";

/** What does not get so far was never brotli. */
const HEAD_BYTES = 512;

/**
 * Opens brotli (RFC 7932): one stream, then zero bytes at most. The format has neither a magic number
 * nor a checksum: bytes of which the first 512 fail were never brotli (`not_this_container`), and damage
 * that happens to be valid brotli gives other content. Windows are 16 MiB at most: the large
 * windows outside the RFC are refused by the engine.
 */
export async function* unbrotli(
  source: AsyncIterable<Uint8Array>,
  limits: Limits,
): AsyncGenerator<Uint8Array> {
  const reader = createByteReader(source);
  const damage = damageOf("brotli", () => reader.offset);
  const meter = createMeter("brotli", limits);
  const engine = driveEngine(createBrotliDecompress({ chunkSize: OUTPUT_CHUNK_BYTES }), (cause) => {
    if (isEarlyEnd(cause) && reader.offset > 0) return damage.truncated("inside its data");
    if (reader.offset > HEAD_BYTES)
      return damage.corrupt("The brotli container's data is damaged.", cause);
    return new StageError("decompress", "not_this_container", "The bytes are not brotli.", {
      cause,
    });
  });
  try {
    for await (const output of runToEnd(reader, engine, HEAD_BYTES)) {
      meter.count(output.byteLength, engine.used);
      yield output;
    }
    await assertNothingFollows(reader, damage);
  } finally {
    engine.close();
    await reader.close();
  }
}
