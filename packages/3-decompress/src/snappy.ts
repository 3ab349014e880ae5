import { createByteReader } from "@sluice/streams";
import { crc32c } from "./crc32c.ts";
import { damageOf } from "./damage.ts";
import { createMeter, type Limits } from "./limits.ts";
import { skipBytes, takeWhole } from "./next-frame.ts";
import { decodeSnappyBlock } from "./snappy-block.ts";

const COMPRESSED = 0x00;
const UNCOMPRESSED = 0x01;
const STREAM_IDENTIFIER = 0xff;
/** Chunk types from here on are passed over, padding among them; those below are not (4.5, 4.6). */
const FIRST_SKIPPABLE = 0x80;
const IDENTIFIER = Buffer.from("sNaPpY");

/** Content bytes of one chunk, and the most that they can take compressed. */
const MAX_CONTENT_BYTES = 65_536;
const MAX_BLOCK_BYTES = 32 + MAX_CONTENT_BYTES + Math.floor(MAX_CONTENT_BYTES / 6);

/**
 * Opens snappy's framing format: all chunks, each checked by its masked CRC-32C. Streams may follow each
 * other. The format has no end mark: a file cut between two chunks looks whole.
 */
export async function* unsnappy(
  source: AsyncIterable<Uint8Array>,
  limits: Limits,
): AsyncGenerator<Uint8Array> {
  const reader = createByteReader(source);
  const damage = damageOf("snappy", () => reader.offset);
  const meter = createMeter("snappy", limits);
  const take = (length: number, where: string): Promise<Buffer> =>
    takeWhole(reader, length, damage, where);
  try {
    for (let isFirst = true; ; isFirst = false) {
      const type = (await reader.take(1))[0];
      if (type === undefined) return;
      const length = (await take(3, "inside a chunk's header")).readUIntLE(0, 3);
      if (isFirst && type !== STREAM_IDENTIFIER) {
        throw damage.corrupt("The first snappy chunk is no stream identifier.");
      }
      if (type === STREAM_IDENTIFIER) {
        const isKnown = length === 6 && IDENTIFIER.equals(await take(6, "inside its identifier"));
        if (!isKnown) throw damage.corrupt("A snappy stream identifier is damaged.");
      } else if (type === COMPRESSED || type === UNCOMPRESSED) {
        const output = await content(type, length);
        meter.count(output.byteLength, reader.offset);
        if (output.byteLength > 0) yield output;
      } else if (type >= FIRST_SKIPPABLE) {
        await skipBytes(reader, length, damage, "inside a chunk that is passed over");
      } else {
        const seen = `chunk type ${type}`;
        throw damage.unsupported("A snappy chunk has a reserved type.", seen, "types 0 and 1");
      }
      meter.endFrame(reader.offset);
    }
  } finally {
    await reader.close();
  }

  async function content(type: number, length: number): Promise<Uint8Array> {
    const max = type === COMPRESSED ? MAX_BLOCK_BYTES : MAX_CONTENT_BYTES;
    if (length < 4 || length > 4 + max) {
      throw damage.corrupt("A snappy chunk has a length that no chunk can have.");
    }
    const checksum = (await take(4, "inside a chunk's checksum")).readUInt32LE(0);
    const block = await take(length - 4, "inside a chunk");
    const output = type === UNCOMPRESSED ? block : decodeSnappyBlock(block, MAX_CONTENT_BYTES);
    if (output === undefined) throw damage.corrupt("A snappy chunk is damaged.");
    if (masked(crc32c(output)) !== checksum) {
      throw damage.mismatch("A snappy chunk does not match its CRC-32C.");
    }
    return output;
  }
}

/** A checksum of data that holds its own checksum says little, so that it is turned and moved (4). */
const masked = (crc: number): number => (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
