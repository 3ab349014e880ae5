const PROBABILITY_BITS = 11;
const MOVE_BITS = 5;
const TOP = 2 ** 24;

/** The probability that both bits are as likely. */
export const EVEN: number = 1 << (PROBABILITY_BITS - 1);

/** LZMA's entropy coding: each bit is read against a probability that learns from it. */
export interface RangeDecoder {
  range: number;
  code: number;
  input: Uint8Array;
  /** The next byte of `input`; beyond its end for input that was too short. */
  at: number;
  readonly probabilities: Uint16Array;
}

/** Begins at `at` of `input`: one byte of zero, then four of the code. False if it cannot begin so. */
export function startRange(decoder: RangeDecoder, input: Uint8Array, at: number): boolean {
  if (at + 5 > input.byteLength || input[at] !== 0) return false;
  decoder.input = input;
  decoder.range = 0xffff_ffff;
  decoder.code = 0;
  for (let i = 1; i < 5; i++)
    decoder.code = ((decoder.code << 8) | (input[at + i] as number)) >>> 0;
  decoder.at = at + 5;
  return true;
}

/** Whether all input was used, no more than it, and nothing is left in the code. */
export const isRangeOver = (decoder: RangeDecoder): boolean =>
  decoder.at === decoder.input.byteLength && decoder.code === 0;

function normalize(decoder: RangeDecoder): void {
  if (decoder.range >= TOP) return;
  decoder.range = (decoder.range << 8) >>> 0;
  decoder.code = ((decoder.code << 8) | (decoder.input[decoder.at++] as number)) >>> 0;
}

/** One bit against the probability at `index`. */
export function readBit(decoder: RangeDecoder, index: number): 0 | 1 {
  const probability = decoder.probabilities[index] as number;
  const bound = Math.imul(decoder.range >>> PROBABILITY_BITS, probability) >>> 0;
  if (decoder.code < bound) {
    decoder.range = bound;
    decoder.probabilities[index] =
      probability + (((1 << PROBABILITY_BITS) - probability) >> MOVE_BITS);
    normalize(decoder);
    return 0;
  }
  decoder.range -= bound;
  decoder.code -= bound;
  decoder.probabilities[index] = probability - (probability >> MOVE_BITS);
  normalize(decoder);
  return 1;
}

/** A number of `bits` bits, the highest first, each bit's probability chosen by those before. */
export function readTree(decoder: RangeDecoder, base: number, bits: number): number {
  let symbol = 1;
  for (let i = 0; i < bits; i++) symbol = (symbol << 1) | readBit(decoder, base + symbol);
  return symbol - (1 << bits);
}

/** The same with the lowest bit first. */
export function readReverseTree(decoder: RangeDecoder, base: number, bits: number): number {
  let symbol = 1;
  let value = 0;
  for (let i = 0; i < bits; i++) {
    const bit = readBit(decoder, base + symbol);
    symbol = (symbol << 1) | bit;
    value |= bit << i;
  }
  return value;
}

/** A number of `bits` bits that are as likely to be 0 as 1. */
export function readDirect(decoder: RangeDecoder, bits: number): number {
  let value = 0;
  for (let i = 0; i < bits; i++) {
    decoder.range >>>= 1;
    const bit = decoder.code >= decoder.range ? 1 : 0;
    if (bit === 1) decoder.code -= decoder.range;
    value = (value << 1) | bit;
    normalize(decoder);
  }
  return value >>> 0;
}
