import { constants, createZstdDecompress } from "node:zlib";
import { createByteReader, type MemoryPart } from "@sluice/streams";
import { damageOf } from "./damage.ts";
import { createMeter, type Limits } from "./limits.ts";
import { hasNextFrame, takeWhole } from "./next-frame.ts";
import { isSkippableMagic, skipFrame } from "./skippable-frame.ts";
import { driveEngine, OUTPUT_CHUNK_BYTES } from "./zlib-engine.ts";
import { zstdFrame } from "./zstd-frame.ts";

const ZSTD_MAGIC = 0xfd2fb528;

/**
 * Opens zstd (RFC 8878): all frames, one after the other, then zero bytes at most. Node's engine decodes
 * the frames and checks their declared sizes and checksums; it is given one whole frame after the
 * other, because by itself it ends after the first.
 */
export async function* unzstd(
  source: AsyncIterable<Uint8Array>,
  limits: Limits,
  memory: MemoryPart,
): AsyncGenerator<Uint8Array> {
  const reader = createByteReader(source);
  const damage = damageOf("zstd", () => reader.offset);
  const meter = createMeter("zstd", limits, "maxZstdRatio");
  const engine = driveEngine(
    createZstdDecompress({
      chunkSize: OUTPUT_CHUNK_BYTES,
      params: { [constants.ZSTD_d_windowLogMax]: windowLogMax(limits.maxZstdWindowBytes) },
    }),
    (cause) =>
      cause.code === "ZSTD_error_checksum_wrong"
        ? damage.mismatch("The content of a zstd frame does not match its checksum.")
        : damage.corrupt("The zstd container's data is damaged.", cause),
  );
  let skipped = 0;
  try {
    do {
      const magic = await takeWhole(reader, 4, damage, "inside a frame's magic number");
      if (isSkippableMagic(magic.readUInt32LE(0))) {
        skipped += 4 + (await skipFrame(reader, damage));
        meter.endFrame(reader.offset);
        continue;
      }
      if (magic.readUInt32LE(0) !== ZSTD_MAGIC) {
        throw damage.corrupt("Bytes that are no zstd frame follow a complete frame.");
      }
      for await (const input of zstdFrame(reader, magic, limits, { damage, memory })) {
        for await (const output of engine.feed(input)) {
          meter.count(output.byteLength, skipped + engine.used);
          yield output;
        }
      }
      meter.endFrame(reader.offset);
    } while (await hasNextFrame(reader, damage, mayBeginFrame));
  } finally {
    engine.close();
    await reader.close();
  }
}

/** The first byte of either magic number. */
const mayBeginFrame = (byte: number): boolean => byte === 0x28 || byte >> 4 === 5;

/** The engine's own check of windows, made to let through what the limit does. */
function windowLogMax(bytes: number): number {
  return Math.min(31, Math.max(10, Math.ceil(Math.log2(bytes))));
}
