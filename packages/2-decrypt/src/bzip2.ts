import type { ByteReader } from "@sluice/streams";
import { type BitReader, BitsEnded, createBitReader } from "./bzip2-bits.ts";
import { decodeBzip2Block, readBzip2Tables } from "./bzip2-block.ts";
import { malformed, unsupportedAlgorithm } from "./failures.ts";

const BLOCK = 0x314159265359;
const END = 0x177245385090;
/** More than the longest codes for the largest block take, so that a block that needs more is damaged. */
const WINDOW_BYTES = 2_500_000;
const OUTPUT_BYTES = 128 * 1024;

/** CRC-32 with the high bit first, as bzip2 has it. */
const CRC = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 24;
  for (let bit = 0; bit < 8; bit++) crc = crc < 0 ? (crc << 1) ^ 0x04c11db7 : crc << 1;
  return crc;
});

const fortyEight = (bits: BitReader): number => bits.take(24) * 2 ** 24 + bits.take(24);
const thirtyTwo = (bits: BitReader): number => (bits.take(16) << 16) | bits.take(16);

/**
 * The bytes of one bzip2 stream, block by block. A block is decoded when all of it is there; its
 * bytes come in pieces, because a block of 900 kB may unpack to 45 MB. Throws that the message is malformed.
 */
export async function* unpackBzip2(body: ByteReader): AsyncGenerator<Uint8Array> {
  let window = await body.take(WINDOW_BYTES);
  const start = createBitReader(window);
  const fail = (cause?: unknown): Error => malformed(body.offset, cause);
  try {
    const isStart = start.take(8) === 0x42 && start.take(8) === 0x5a && start.take(8) === 0x68;
    const level = start.take(8) - 0x30;
    if (!isStart || level < 1 || level > 9) throw fail();
    const block = new Int32Array(level * 100_000);
    let bits = start;
    let streamCrc = 0;
    for (;;) {
      // Blocks begin anywhere in a byte: the byte that is begun stays.
      const rest = window.subarray(bits.byteOffset);
      if (rest.byteLength < WINDOW_BYTES) {
        const more = await body.take(WINDOW_BYTES);
        if (more.byteLength > 0) {
          window = Buffer.concat([rest, more]);
          bits = createBitReader(window, bits.bitOffset);
        }
      }
      const magic = fortyEight(bits);
      const expected = thirtyTwo(bits);
      if (magic === END) {
        if (expected !== streamCrc || bits.endOffset < window.byteLength) throw fail();
        if ((await body.chunk()) !== undefined) throw fail();
        return;
      }
      if (magic !== BLOCK) throw fail();
      if (bits.take(1) === 1) throw unsupportedAlgorithm("A randomised bzip2 block");
      const origin = bits.take(24);
      const tables = readBzip2Tables(bits);
      const count = tables === undefined ? undefined : decodeBzip2Block(bits, tables, block);
      if (count === undefined || origin >= count) throw fail();
      let crc = -1;
      for (const piece of runs(block, count, origin)) {
        for (const byte of piece) crc = (crc << 8) ^ (CRC[(crc >>> 24) ^ byte] ?? 0);
        yield piece;
      }
      if (~crc !== expected) throw fail();
      streamCrc = ((streamCrc << 1) | (streamCrc >>> 31)) ^ ~crc;
    }
  } catch (error) {
    throw error === BitsEnded ? fail() : error;
  }
}

/** Undoes the sorting of a block, then its runs: after four equal bytes the next says how many follow. */
function* runs(block: Int32Array, count: number, origin: number): Generator<Uint8Array> {
  let output = new Uint8Array(OUTPUT_BYTES + 256);
  let size = 0;
  let at = (block[origin] ?? 0) >>> 8;
  let last = -1;
  let equal = 0;
  for (let i = 0; i < count; i++) {
    const entry = block[at] ?? 0;
    const byte = entry & 0xff;
    at = entry >>> 8;
    if (equal === 4) {
      output.fill(last, size, size + byte);
      size += byte;
      equal = 0;
      last = -1;
    } else {
      equal = byte === last ? equal + 1 : 1;
      last = byte;
      output[size++] = byte;
    }
    if (size >= OUTPUT_BYTES) {
      yield output.subarray(0, size);
      output = new Uint8Array(OUTPUT_BYTES + 256);
      size = 0;
    }
  }
  if (size > 0) yield output.subarray(0, size);
}
