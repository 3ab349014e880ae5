import type { Bzip2Block } from "./block.ts";

const OUTPUT_CHUNK_BYTES = 128 * 1024;
/** After four equal bytes comes a byte that counts more of them. */
const RUN_BYTES = 4;
const MAX_COUNT = 255;

/**
 * Undoes the Burrows-Wheeler transform of a block, whose bytes stand in `table`, and the runs under it,
 * and gives the content in chunks. Undefined as the last chunk: the block ends where a count must come.
 */
export function* bzip2Output(
  table: Uint32Array,
  { size, origin }: Bzip2Block,
): Generator<Uint8Array | undefined> {
  const starts = new Uint32Array(256);
  for (let i = 0; i < size; i++) {
    const byte = (table[i] as number) & 0xff;
    starts[byte] = (starts[byte] as number) + 1;
  }
  for (let byte = 0, sum = 0; byte < 256; byte++) {
    const count = starts[byte] as number;
    starts[byte] = sum;
    sum += count;
  }
  // The upper 24 bits of each place become the place of the byte that follows.
  for (let i = 0; i < size; i++) {
    const byte = (table[i] as number) & 0xff;
    const place = starts[byte] as number;
    starts[byte] = place + 1;
    table[place] = (table[place] as number) | (i << 8);
  }

  let output = new Uint8Array(OUTPUT_CHUNK_BYTES);
  let at = 0;
  let entry = (table[origin] as number) >>> 8;
  let last = -1;
  let equal = 0;
  for (let left = size; left > 0; left--) {
    entry = table[entry] as number;
    const byte = entry & 0xff;
    entry >>>= 8;
    if (equal === RUN_BYTES) {
      output.fill(last, at, at + byte);
      at += byte;
      equal = 0;
      last = -1;
    } else {
      equal = byte === last ? equal + 1 : 1;
      last = byte;
      output[at++] = byte;
    }
    if (at + MAX_COUNT >= OUTPUT_CHUNK_BYTES) {
      yield output.subarray(0, at);
      output = new Uint8Array(OUTPUT_CHUNK_BYTES);
      at = 0;
    }
  }
  if (at > 0) yield output.subarray(0, at);
  if (equal === RUN_BYTES) yield undefined;
}
