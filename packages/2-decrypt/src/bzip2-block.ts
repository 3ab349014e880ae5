import type { BitReader } from "./bzip2-bits.ts";

const MAX_CODE_BITS = 20;
const GROUP_SYMBOLS = 50;

/** One of a block's Huffman codes, in canonical order. */
interface Code {
  readonly minBits: number;
  readonly maxBits: number;
  /** The highest code of each length; -1 where there is none. */
  readonly limit: Int32Array;
  /** What to take from a code of a length to get its place among the symbols. */
  readonly base: Int32Array;
  readonly symbols: Uint16Array;
}

/** What stands before a block's symbols. */
interface Tables {
  /** The bytes that the block holds, in order. */
  readonly alphabet: Uint8Array;
  readonly codes: readonly Code[];
  /** The code of each group of 50 symbols. */
  readonly selectors: Uint8Array;
}

/** Reads a block's tables; undefined when they are damaged. */
export function readBzip2Tables(bits: BitReader): Tables | undefined {
  const bytes: number[] = [];
  const used = bits.take(16);
  for (let high = 0; high < 16; high++) {
    if ((used & (0x8000 >> high)) === 0) continue;
    const low = bits.take(16);
    for (let i = 0; i < 16; i++) if (low & (0x8000 >> i)) bytes.push(high * 16 + i);
  }
  const groups = bits.take(3);
  const selectorCount = bits.take(15);
  if (bytes.length === 0 || groups < 2 || groups > 6 || selectorCount === 0) return undefined;

  const selectors = new Uint8Array(selectorCount);
  const recent = [0, 1, 2, 3, 4, 5].slice(0, groups);
  for (let i = 0; i < selectorCount; i++) {
    let place = 0;
    while (bits.take(1) === 1) if (++place >= groups) return undefined;
    const [chosen = 0] = recent.splice(place, 1);
    recent.unshift(chosen);
    selectors[i] = chosen;
  }

  const codes: Code[] = [];
  for (let group = 0; group < groups; group++) {
    const lengths = new Uint8Array(bytes.length + 2);
    let length = bits.take(5);
    for (let i = 0; i < lengths.length; i++) {
      for (;;) {
        if (length < 1 || length > MAX_CODE_BITS) return undefined;
        if (bits.take(1) === 0) break;
        length += bits.take(1) === 0 ? 1 : -1;
      }
      lengths[i] = length;
    }
    codes.push(toCode(lengths));
  }
  return { alphabet: Uint8Array.from(bytes), codes, selectors };
}

function toCode(lengths: Uint8Array): Code {
  const limit = new Int32Array(MAX_CODE_BITS + 2).fill(-1);
  const base = new Int32Array(MAX_CODE_BITS + 2);
  const symbols: number[] = [];
  let code = 0;
  let minBits = MAX_CODE_BITS;
  let maxBits = 1;
  for (let length = 1; length <= MAX_CODE_BITS; length++) {
    const first = symbols.length;
    for (let symbol = 0; symbol < lengths.length; symbol++) {
      if (lengths[symbol] === length) symbols.push(symbol);
    }
    const count = symbols.length - first;
    base[length] = code - first;
    if (count > 0) {
      limit[length] = code + count - 1;
      minBits = Math.min(minBits, length);
      maxBits = length;
    }
    code = (code + count) * 2;
  }
  return { minBits, maxBits, limit, base, symbols: Uint16Array.from(symbols) };
}

/**
 * Decodes a block's symbols into `block`, ready for undoing the sort: the low eight bits of an entry
 * are its byte, those above it the entry that follows it. Gives the count; undefined when damaged.
 */
export function decodeBzip2Block(
  bits: BitReader,
  { alphabet, codes, selectors }: Tables,
  block: Int32Array,
): number | undefined {
  const recent = alphabet.slice();
  const endOfBlock = alphabet.length + 1;
  const counts = new Int32Array(256);
  let count = 0;
  let run = 0;
  let runUnit = 1;
  let group = -1;
  let left = 0;
  let code: Code | undefined;
  for (;;) {
    if (left === 0) {
      code = codes[selectors[++group] ?? codes.length];
      left = GROUP_SYMBOLS;
    }
    left--;
    if (code === undefined) return undefined;
    const symbol = nextSymbol(bits, code);
    if (symbol < 0) return undefined;
    if (symbol <= 1) {
      run += runUnit << symbol;
      runUnit *= 2;
      if (run > block.length - count) return undefined;
      continue;
    }
    if (run > 0) {
      const byte = recent[0] ?? 0;
      block.fill(byte, count, count + run);
      counts[byte] = (counts[byte] ?? 0) + run;
      count += run;
      run = 0;
      runUnit = 1;
    }
    if (symbol === endOfBlock) break;
    if (count >= block.length) return undefined;
    const place = symbol - 1;
    const byte = recent[place] ?? 0;
    recent.copyWithin(1, 0, place);
    recent[0] = byte;
    block[count++] = byte;
    counts[byte] = (counts[byte] ?? 0) + 1;
  }

  let sum = 0;
  for (let byte = 0; byte < 256; byte++) {
    const of = counts[byte] ?? 0;
    counts[byte] = sum;
    sum += of;
  }
  for (let i = 0; i < count; i++) {
    const byte = (block[i] ?? 0) & 0xff;
    const place = counts[byte] ?? 0;
    counts[byte] = place + 1;
    block[place] = (block[place] ?? 0) | (i << 8);
  }
  return count;
}

function nextSymbol(bits: BitReader, { minBits, maxBits, limit, base, symbols }: Code): number {
  let code = bits.take(minBits);
  for (let length = minBits; length <= maxBits; length++) {
    if (code <= (limit[length] ?? -1)) return symbols[code - (base[length] ?? 0)] ?? -1;
    code = code * 2 + bits.take(1);
  }
  return -1;
}
