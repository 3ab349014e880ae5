import { copyMatch, SHORT_COPY } from "./copy-match.ts";

/**
 * Decodes one raw snappy block (snappy format description) of at most `maxBytes`; undefined for a block that
 * is damaged: one that reaches beyond its own end, its declared length or what it has written.
 */
export function decodeSnappyBlock(block: Uint8Array, maxBytes: number): Uint8Array | undefined {
  let from = 0;
  let length = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = block[from++];
    if (byte === undefined || shift > 28) return undefined;
    length += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) break;
  }
  if (length > maxBytes) return undefined;
  const output = new Uint8Array(length);
  let to = 0;
  const little = (bytes: number): number => {
    let value = 0;
    for (let i = 0; i < bytes; i++) value += (block[from++] ?? Number.NaN) * 2 ** (8 * i);
    return value;
  };
  while (from < block.byteLength) {
    const tag = block[from++] as number;
    const high = tag >> 2;
    if ((tag & 3) === 0) {
      const literals = (high < 60 ? high : little(high - 59)) + 1;
      // Written so that a length which could not be read is refused too.
      if (!(from + literals <= block.byteLength && to + literals <= length)) return undefined;
      if (literals < SHORT_COPY)
        for (let i = 0; i < literals; i++) output[to + i] = block[from + i] as number;
      else output.set(block.subarray(from, from + literals), to);
      from += literals;
      to += literals;
      continue;
    }
    let distance: number;
    let count: number;
    if ((tag & 3) === 1) {
      count = 4 + (high & 7);
      distance = (tag >> 5) * 256 + little(1);
    } else {
      count = high + 1;
      distance = little((tag & 3) === 2 ? 2 : 4);
    }
    if (!(distance > 0 && distance <= to && to + count <= length)) return undefined;
    to = copyMatch(output, to - distance, to, count);
  }
  return to === length ? output : undefined;
}
