import { copyMatch, SHORT_COPY } from "./copy-match.ts";

const LITERAL = 0;
const SHORT_MATCH = 1;
/** Tags of literals from here on have their length behind them. */
const LONG_LITERAL = 60 << 2;

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
  while (from < block.byteLength) {
    const tag = block[from++] as number;
    const high = tag >> 2;
    const extra = extraBytes(tag);
    if (from + extra > block.byteLength) return undefined;
    let number = 0;
    for (let i = 0; i < extra; i++) number |= (block[from++] as number) << (8 * i);
    number >>>= 0;
    const kind = tag & 3;
    if (kind === LITERAL) {
      const literals = (extra === 0 ? high : number) + 1;
      if (from + literals > block.byteLength || to + literals > length) return undefined;
      if (literals < SHORT_COPY) {
        for (let i = 0; i < literals; i++) output[to + i] = block[from + i] as number;
      } else output.set(block.subarray(from, from + literals), to);
      from += literals;
      to += literals;
      continue;
    }
    const count = kind === SHORT_MATCH ? 4 + (high & 7) : high + 1;
    const distance = kind === SHORT_MATCH ? (tag >> 5) * 256 + number : number;
    if (distance === 0 || distance > to || to + count > length) return undefined;
    to = copyMatch(output, to - distance, to, count);
  }
  return to === length ? output : undefined;
}

/** How many bytes behind a tag go on with its number: a literal's length, or a match's distance. */
function extraBytes(tag: number): number {
  const kind = tag & 3;
  if (kind === LITERAL) return tag < LONG_LITERAL ? 0 : (tag >> 2) - 59;
  return kind === 3 ? 4 : kind;
}
