const PROBABILITY_BITS = 11;
const MOVE_BITS = 5;
const TOP = 2 ** 24;
const RANGE = 0;
const CODE = 1;

/** The probability that both bits are as likely. */
export const EVEN: number = 1 << (PROBABILITY_BITS - 1);

/** LZMA's entropy coding: each bit is read against a probability that learns from it. */
export interface RangeDecoder {
  /** The range and the code: in an array, because numbers above 2^31 would be objects elsewhere. */
  readonly registers: Uint32Array;
  input: Uint8Array;
  /** The next byte of `input`; beyond its end for input that was too short. */
  at: number;
  readonly probabilities: Uint16Array;
}

/** Begins at `at` of `input`: one byte of zero, then four of the code. False if it cannot begin so. */
export function startRange(decoder: RangeDecoder, input: Uint8Array, at: number): boolean {
  if (at + 5 > input.byteLength || input[at] !== 0) return false;
  decoder.input = input;
  decoder.registers[RANGE] = 0xffff_ffff;
  decoder.registers[CODE] = new DataView(input.buffer, input.byteOffset).getUint32(at + 1);
  decoder.at = at + 5;
  return true;
}

/** Whether all input was used, no more than it, and nothing is left in the code. */
export const isRangeOver = (decoder: RangeDecoder): boolean =>
  decoder.at === decoder.input.byteLength && decoder.registers[CODE] === 0;

function normalize(decoder: RangeDecoder, range: number, code: number): void {
  const { registers } = decoder;
  if (range >= TOP) {
    registers[RANGE] = range;
    registers[CODE] = code;
    return;
  }
  registers[RANGE] = range << 8;
  registers[CODE] = (code << 8) | (decoder.input[decoder.at++] as number);
}

/** One bit against the probability at `index`. */
export function readBit(decoder: RangeDecoder, index: number): 0 | 1 {
  const { probabilities, registers } = decoder;
  const range = registers[RANGE] as number;
  const code = registers[CODE] as number;
  const probability = probabilities[index] as number;
  const bound = Math.imul(range >>> PROBABILITY_BITS, probability) >>> 0;
  if (code < bound) {
    probabilities[index] = probability + (((1 << PROBABILITY_BITS) - probability) >> MOVE_BITS);
    normalize(decoder, bound, code);
    return 0;
  }
  probabilities[index] = probability - (probability >> MOVE_BITS);
  normalize(decoder, (range - bound) >>> 0, (code - bound) >>> 0);
  return 1;
}

/**
 * A number of `bits` bits, the highest first, each bit's probability chosen by those before. Most of what is
 * read is read here, so that the registers are held in variables over all its bits.
 */
export function readTree(decoder: RangeDecoder, base: number, bits: number): number {
  const { probabilities, registers, input } = decoder;
  let range = registers[RANGE] as number;
  let code = registers[CODE] as number;
  let symbol = 1;
  for (let i = 0; i < bits; i++) {
    const index = base + symbol;
    const probability = probabilities[index] as number;
    const bound = Math.imul(range >>> PROBABILITY_BITS, probability) >>> 0;
    if (code < bound) {
      range = bound;
      probabilities[index] = probability + (((1 << PROBABILITY_BITS) - probability) >> MOVE_BITS);
      symbol <<= 1;
    } else {
      range = (range - bound) >>> 0;
      code = (code - bound) >>> 0;
      probabilities[index] = probability - (probability >> MOVE_BITS);
      symbol = (symbol << 1) | 1;
    }
    if (range < TOP) {
      range = (range << 8) >>> 0;
      code = ((code << 8) | (input[decoder.at++] as number)) >>> 0;
    }
  }
  registers[RANGE] = range;
  registers[CODE] = code;
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
    const range = (decoder.registers[RANGE] as number) >>> 1;
    const code = decoder.registers[CODE] as number;
    const bit = code >= range ? 1 : 0;
    value = (value << 1) | bit;
    normalize(decoder, range, bit === 1 ? code - range : code);
  }
  return value >>> 0;
}
