import { copyMatch, SHORT_COPY } from "./copy-match.ts";

const MIN_MATCH = 4;

/**
 * Decodes one LZ4 block (LZ4 block format 1.6.3) into `window` at `start`, with `window` from `oldest` on as the
 * history that matches may reach. Gives the end of what was written, or undefined for a block that is
 * damaged: one that reaches beyond its own end, the window's or the history's.
 */
export function decodeLz4Block(
  block: Uint8Array,
  window: Uint8Array,
  start: number,
  oldest: number,
): number | undefined {
  let from = 0;
  let to = start;
  while (from < block.byteLength) {
    const token = block[from++] as number;
    let literals = token >> 4;
    // A length of 15 goes on in bytes, up to and with the first that is not 255.
    for (let more = literals === 15 ? 255 : 0; more === 255; literals += more) {
      if (from >= block.byteLength) return undefined;
      more = block[from++] as number;
    }
    if (from + literals > block.byteLength || to + literals > window.byteLength) return undefined;
    if (literals < SHORT_COPY) {
      for (let i = 0; i < literals; i++) window[to++] = block[from++] as number;
    } else {
      window.set(block.subarray(from, from + literals), to);
      from += literals;
      to += literals;
    }
    // The last sequence is literals only.
    if (from === block.byteLength) return (token & 15) === 0 ? to : undefined;
    if (from + 2 > block.byteLength) return undefined;
    const distance = (block[from] as number) | ((block[from + 1] as number) << 8);
    from += 2;
    let length = token & 15;
    for (let more = length === 15 ? 255 : 0; more === 255; length += more) {
      if (from >= block.byteLength) return undefined;
      more = block[from++] as number;
    }
    length += MIN_MATCH;
    const match = to - distance;
    if (distance === 0 || match < oldest || to + length > window.byteLength) return undefined;
    to = copyMatch(window, match, to, length);
  }
  // A block is never empty, and never ends with a match.
  return undefined;
}
