import type { ByteReader } from "../byte-reader.ts";
import { createBitInput } from "./bit-input.ts";
import { readBzip2Block } from "./block.ts";
import { bzip2Crc } from "./crc.ts";
import type { Bzip2Faults } from "./faults.ts";
import { bzip2Output } from "./output.ts";

/** The first digits of pi begin a block, those of its square root end the stream. */
const BLOCK = [0x314159, 0x265359];
const END = [0x177245, 0x385090];

/** Opens the bzip2 streams that a reader gives, one at a time. */
export interface Bzip2Reader {
  /** Bytes of the reader that were needed for what was given so far. */
  readonly used: number;
  /**
   * The content of the stream that begins here; then the reader stands behind it. Each block's checksum is verified
   * when its content was given, and the stream's at its end. A block is read whole before its content is
   * given; its content is 45.9 MB at most, and comes in chunks.
   */
  stream(): AsyncGenerator<Uint8Array>;
}

export function createBzip2Reader(reader: ByteReader, faults: Bzip2Faults): Bzip2Reader {
  let used = 0;
  let table = new Uint32Array(0);
  return {
    get used() {
      return used;
    },
    async *stream() {
      const magic = Buffer.from(await reader.take(4));
      if (magic.byteLength < 4) throw faults.truncated("inside a stream's header");
      const level = magic.readUInt8(3) - 0x30;
      if (magic.toString("latin1", 0, 3) !== "BZh" || level < 1 || level > 9) {
        throw faults.corrupt("Bytes that are no bzip2 stream follow a complete stream.");
      }
      if (table.length !== level * 100_000) table = new Uint32Array(level * 100_000);
      const start = reader.offset;
      const input = createBitInput(reader);
      // Bits past the end read as zeros, which may look like damage.
      const blockFaults: Bzip2Faults = {
        ...faults,
        corrupt: (message) =>
          input.isPastEnd ? faults.truncated("inside a block") : faults.corrupt(message),
      };
      let streamCrc = 0;
      for (;;) {
        await input.fill(10);
        const high = input.bits(24);
        const low = input.bits(24);
        const crc = (input.bits(16) << 16) | input.bits(16);
        used = start + Math.ceil(input.position / 8);
        if (input.isPastEnd) throw faults.truncated("between two blocks");
        if (high === END[0] && low === END[1]) {
          if (crc !== streamCrc) {
            throw faults.mismatch("A bzip2 stream does not match its checksum.");
          }
          input.giveBack();
          return;
        }
        if (high !== BLOCK[0] || low !== BLOCK[1]) {
          throw faults.corrupt("A bzip2 block does not begin as blocks do.");
        }
        const block = await readBzip2Block(input, table, blockFaults);
        used = start + Math.ceil(input.position / 8);
        let contentCrc = -1;
        for (const output of bzip2Output(table, block)) {
          if (output === undefined) throw faults.corrupt("A bzip2 block ends inside a run.");
          contentCrc = bzip2Crc(output, contentCrc);
          yield output;
        }
        if (~contentCrc !== crc) {
          throw faults.mismatch("The content of a bzip2 block does not match its checksum.");
        }
        streamCrc = ((streamCrc << 1) | (streamCrc >>> 31)) ^ crc;
      }
    },
  };
}
