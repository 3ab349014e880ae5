import { crc32, createInflateRaw } from "node:zlib";
import { createByteReader } from "@sluice/streams";
import { damageOf } from "./damage.ts";
import { readGzipHeader } from "./gzip-header.ts";
import { createMeter, type Limits } from "./limits.ts";
import { hasNextFrame, takeWhole } from "./next-frame.ts";
import { driveEngine, isEarlyEnd, OUTPUT_CHUNK_BYTES, runToEnd } from "./zlib-engine.ts";

/**
 * Opens gzip (RFC 1952): all members, one after the other, then zero bytes at most. Node's own Gunzip
 * is not used for it: it ends without an error at whatever follows zero padding, and also where the
 * bytes after a member come in a chunk of their own.
 */
export async function* gunzip(
  source: AsyncIterable<Uint8Array>,
  limits: Limits,
): AsyncGenerator<Uint8Array> {
  const reader = createByteReader(source);
  const damage = damageOf("gzip", () => reader.offset);
  const meter = createMeter("gzip", limits, "maxRatio");
  try {
    do {
      await readGzipHeader(reader, damage);
      yield* inflateMember();
      meter.endFrame(reader.offset);
    } while (await hasNextFrame(reader, damage, (byte) => byte === 0x1f));
  } finally {
    await reader.close();
  }

  async function* inflateMember(): AsyncGenerator<Uint8Array> {
    const start = reader.offset;
    const engine = driveEngine(createInflateRaw({ chunkSize: OUTPUT_CHUNK_BYTES }), (cause) =>
      isEarlyEnd(cause)
        ? damage.truncated("inside a member's data")
        : damage.corrupt("The gzip container's data is damaged.", cause),
    );
    let crc = 0;
    let size = 0;
    try {
      for await (const output of runToEnd(reader, engine)) {
        crc = crc32(output, crc);
        size += output.byteLength;
        meter.count(output.byteLength, start + engine.used);
        yield output;
      }
    } finally {
      engine.close();
    }
    const trailer = await takeWhole(reader, 8, damage, "inside a member's trailer");
    if (trailer.readUInt32LE(0) !== crc || trailer.readUInt32LE(4) !== size % 2 ** 32) {
      throw damage.mismatch("The content of a gzip member does not match its CRC-32 and length.");
    }
  }
}
