import type { BitInput } from "./bit-input.ts";
import type { Bzip2Faults } from "./faults.ts";

/** Codes have 1 to 20 bits. */
export const MAX_CODE_BITS = 20;
/** Codes up to this length are looked up at once. */
const FAST_BITS = 10;
/** No encoder turns back on its way from one length to the next: at most 19 steps. */
const MAX_STEPS = 64;

/** One of a block's codes for its symbols. */
export interface HuffmanCode {
  /** For each 10 bits: the symbol and, in the low 5 bits, the code's length; 0 for longer codes. */
  readonly fast: Uint16Array;
  /** For each length the first code that is longer, aligned to 20 bits. */
  readonly limits: Int32Array;
  /** For each length what a code's number has to be added to for its place in `symbols`. */
  readonly offsets: Int32Array;
  readonly symbols: Uint16Array;
}

/** Reads the lengths of one code, each told by its difference from the last, and makes the code. */
export async function readHuffmanCode(
  input: BitInput,
  symbolCount: number,
  faults: Bzip2Faults,
): Promise<HuffmanCode> {
  const lengths = new Uint8Array(symbolCount);
  await input.fill(64);
  let length = input.bits(5);
  for (let symbol = 0; symbol < symbolCount; symbol++) {
    if (!input.has(64)) await input.fill(64);
    for (let steps = 0; ; steps++) {
      if (length < 1 || length > MAX_CODE_BITS || steps > MAX_STEPS) {
        throw faults.corrupt("A bzip2 block has a code of an impossible length.");
      }
      if (input.bits(1) === 0) break;
      length += input.bits(1) === 0 ? 1 : -1;
    }
    lengths[symbol] = length;
  }
  return makeCode(lengths, faults);
}

function makeCode(lengths: Uint8Array, faults: Bzip2Faults): HuffmanCode {
  const fast = new Uint16Array(1 << FAST_BITS);
  const limits = new Int32Array(MAX_CODE_BITS + 2);
  const offsets = new Int32Array(MAX_CODE_BITS + 1);
  const symbols = new Uint16Array(lengths.byteLength);
  let code = 0;
  let place = 0;
  for (let length = 1; length <= MAX_CODE_BITS; length++) {
    offsets[length] = place - code;
    for (let symbol = 0; symbol < lengths.byteLength; symbol++) {
      if (lengths[symbol] !== length) continue;
      if (code >= 1 << length) throw faults.corrupt("A bzip2 block has too many short codes.");
      if (length <= FAST_BITS) {
        const first = code << (FAST_BITS - length);
        fast.fill((symbol << 5) | length, first, first + (1 << (FAST_BITS - length)));
      }
      symbols[place++] = symbol;
      code++;
    }
    limits[length] = code << (MAX_CODE_BITS - length);
    code <<= 1;
  }
  return { fast, limits, offsets, symbols };
}

/** Reads one symbol; -1 for bits that are no code. */
export function readSymbol(input: BitInput, code: HuffmanCode): number {
  const bits = input.peek(MAX_CODE_BITS);
  const entry = code.fast[bits >> (MAX_CODE_BITS - FAST_BITS)] as number;
  if (entry !== 0) {
    input.skip(entry & 31);
    return entry >> 5;
  }
  for (let length = FAST_BITS + 1; length <= MAX_CODE_BITS; length++) {
    if (bits < (code.limits[length] as number)) {
      input.skip(length);
      const place = (bits >> (MAX_CODE_BITS - length)) + (code.offsets[length] as number);
      return code.symbols[place] ?? -1;
    }
  }
  return -1;
}
