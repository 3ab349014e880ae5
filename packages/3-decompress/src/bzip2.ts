import { createByteReader } from "@sluice/streams";
import { createBitInput } from "./bit-input.ts";
import { readBzip2Block } from "./bzip2-block.ts";
import { bzip2Crc } from "./bzip2-crc.ts";
import { bzip2Output } from "./bzip2-output.ts";
import { type Damage, damageOf } from "./damage.ts";
import { createMeter, type Limits } from "./limits.ts";
import { hasNextFrame, takeWhole } from "./next-frame.ts";

/** The first digits of pi begin a block, those of its square root end the stream. */
const BLOCK = [0x314159, 0x265359];
const END = [0x177245, 0x385090];

/**
 * Opens bzip2: all streams, one after the other, then zero bytes at most. Each block's checksum is verified
 * when its content was given, and each stream's at its end. A block is read whole before its content
 * is given; its content is 45.9 MB at most, and comes in chunks.
 */
export async function* bunzip2(
  source: AsyncIterable<Uint8Array>,
  limits: Limits,
): AsyncGenerator<Uint8Array> {
  const reader = createByteReader(source);
  let used = 0;
  const damage = damageOf("bzip2", () => used);
  const meter = createMeter("bzip2", limits);
  let table = new Uint32Array(0);
  try {
    do {
      yield* stream();
      meter.endFrame(reader.offset);
    } while (await hasNextFrame(reader, damage, (byte) => byte === 0x42));
  } finally {
    await reader.close();
  }

  async function* stream(): AsyncGenerator<Uint8Array> {
    const magic = await takeWhole(reader, 4, damage, "inside a stream's header");
    const level = magic.readUInt8(3) - 0x30;
    if (magic.toString("latin1", 0, 3) !== "BZh" || level < 1 || level > 9) {
      throw damage.corrupt("Bytes that are no bzip2 stream follow a complete stream.");
    }
    if (table.length !== level * 100_000) table = new Uint32Array(level * 100_000);
    const start = reader.offset;
    const input = createBitInput(reader);
    // Bits past the end read as zeros, which may look like damage.
    const blockDamage: Damage = {
      ...damage,
      corrupt: (message) =>
        input.isPastEnd ? damage.truncated("inside a block") : damage.corrupt(message),
    };
    let streamCrc = 0;
    for (;;) {
      await input.fill(10);
      const high = input.bits(24);
      const low = input.bits(24);
      const crc = (input.bits(16) << 16) | input.bits(16);
      used = start + Math.ceil(input.position / 8);
      if (input.isPastEnd) throw damage.truncated("between two blocks");
      if (high === END[0] && low === END[1]) {
        if (crc !== streamCrc) {
          throw damage.mismatch("A bzip2 stream does not match its checksum.");
        }
        input.giveBack();
        return;
      }
      if (high !== BLOCK[0] || low !== BLOCK[1]) {
        throw damage.corrupt("A bzip2 block does not begin as blocks do.");
      }
      const block = await readBzip2Block(input, table, blockDamage);
      used = start + Math.ceil(input.position / 8);
      let contentCrc = -1;
      for (const output of bzip2Output(table, block)) {
        if (output === undefined) throw damage.corrupt("A bzip2 block ends inside a run.");
        contentCrc = bzip2Crc(output, contentCrc);
        meter.count(output.byteLength, used);
        yield output;
      }
      if (~contentCrc !== crc) {
        throw damage.mismatch("The content of a bzip2 block does not match its checksum.");
      }
      streamCrc = ((streamCrc << 1) | (streamCrc >>> 31)) ^ crc;
    }
  }
}
