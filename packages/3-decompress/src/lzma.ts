import { copyMatch } from "./copy-match.ts";
import {
  EVEN,
  isRangeOver,
  type RangeDecoder,
  readBit,
  readDirect,
  readReverseTree,
  readTree,
  startRange,
} from "./range-decoder.ts";

// Where each kind of decision has its probabilities. Those that depend on the position have 16 a state.
const IS_MATCH = 0;
const IS_REP = IS_MATCH + 12 * 16;
const IS_REP0_OLD = IS_REP + 12;
const IS_REP1_OLD = IS_REP0_OLD + 12;
const IS_REP2_OLD = IS_REP1_OLD + 12;
const IS_REP0_LONG = IS_REP2_OLD + 12;
const DISTANCE_SLOT = IS_REP0_LONG + 12 * 16;
const DISTANCE_SPECIAL = DISTANCE_SLOT + 4 * 64;
const DISTANCE_ALIGN = DISTANCE_SPECIAL + 128;
const MATCH_LENGTH = DISTANCE_ALIGN + 16;
const REP_LENGTH = MATCH_LENGTH + 2 + 16 * 8 + 16 * 8 + 256;
const LITERAL = REP_LENGTH + 2 + 16 * 8 + 16 * 8 + 256;
const LITERAL_CODER = 0x300;
/** LZMA2 allows lc + lp up to 4. */
const MAX_LITERAL_BITS = 4;

const MIN_MATCH = 2;
/** States below this one follow a literal. */
const FIRST_MATCH_STATE = 7;

/** An LZMA decoder between two of its chunks. */
export interface Lzma {
  readonly decoder: RangeDecoder;
  state: number;
  /** The last four distances, less one. */
  rep0: number;
  rep1: number;
  rep2: number;
  rep3: number;
  literalContextBits: number;
  literalPositionMask: number;
  positionMask: number;
}

export function createLzma(): Lzma {
  const probabilities = new Uint16Array(LITERAL + (LITERAL_CODER << MAX_LITERAL_BITS));
  return {
    decoder: { registers: new Uint32Array(2), input: new Uint8Array(0), at: 0, probabilities },
    state: 0,
    rep0: 0,
    rep1: 0,
    rep2: 0,
    rep3: 0,
    literalContextBits: 0,
    literalPositionMask: 0,
    positionMask: 0,
  };
}

/** Forgets what was learnt. */
export function resetLzma(lzma: Lzma): void {
  lzma.decoder.probabilities.fill(EVEN);
  lzma.state = 0;
  lzma.rep0 = 0;
  lzma.rep1 = 0;
  lzma.rep2 = 0;
  lzma.rep3 = 0;
}

/** Takes the properties byte: (pb * 5 + lp) * 9 + lc. False for one that LZMA2 does not allow. */
export function setLzmaProperties(lzma: Lzma, byte: number): boolean {
  if (byte >= 9 * 5 * 5) return false;
  const contextBits = byte % 9;
  const positionBits = Math.floor(byte / 9) % 5;
  if (contextBits + positionBits > MAX_LITERAL_BITS) return false;
  lzma.literalContextBits = contextBits;
  lzma.literalPositionMask = 2 ** positionBits - 1;
  lzma.positionMask = 2 ** Math.floor(byte / 45) - 1;
  return true;
}

/**
 * Decodes one chunk, `input` from `from` on, into `window` from `start` to `end`; matches reach back by
 * `maxDistance` at most. False for damage: the chunk has to give all of the output and use all of its input.
 */
export function decodeLzmaChunk(
  lzma: Lzma,
  input: Uint8Array,
  from: number,
  window: Uint8Array,
  start: number,
  end: number,
  maxDistance: number,
): boolean {
  const { decoder } = lzma;
  if (!startRange(decoder, input, from)) return false;
  for (let at = start; at < end; ) {
    const positionState = at & lzma.positionMask;
    if (readBit(decoder, IS_MATCH + (lzma.state << 4) + positionState) === 0) {
      const byte = readLiteral(lzma, window, at);
      window[at++] = byte;
      continue;
    }
    const length = readMatch(lzma, positionState);
    const isInside = lzma.rep0 < at && lzma.rep0 < maxDistance && length <= end - at;
    if (!isInside) return false;
    at = copyMatch(window, at - lzma.rep0 - 1, at, length);
  }
  return isRangeOver(decoder);
}

function readLiteral(lzma: Lzma, window: Uint8Array, at: number): number {
  const { decoder, state, literalContextBits } = lzma;
  const before = at === 0 ? 0 : (window[at - 1] as number);
  const context =
    ((at & lzma.literalPositionMask) << literalContextBits) | (before >> (8 - literalContextBits));
  const base = LITERAL + LITERAL_CODER * context;
  let symbol = 1;
  if (state < FIRST_MATCH_STATE) symbol = readTree(decoder, base, 8);
  else {
    // After a match the byte that would have gone on with it says what to expect.
    let expected = window[at - lzma.rep0 - 1] as number;
    let offset = 0x100;
    do {
      expected <<= 1;
      const expectedBit = expected & offset;
      const bit = readBit(decoder, base + offset + expectedBit + symbol);
      symbol = (symbol << 1) | bit;
      offset &= bit === 1 ? expectedBit : ~expectedBit;
    } while (symbol < 0x100);
  }
  if (state < 4) lzma.state = 0;
  else lzma.state = state < 10 ? state - 3 : state - 6;
  return symbol & 0xff;
}

/** Reads a match: its distance goes to `rep0`, its length comes back. */
function readMatch(lzma: Lzma, positionState: number): number {
  const { decoder, state } = lzma;
  const afterLiteral = state < FIRST_MATCH_STATE;
  if (readBit(decoder, IS_REP + state) === 0) {
    lzma.rep3 = lzma.rep2;
    lzma.rep2 = lzma.rep1;
    lzma.rep1 = lzma.rep0;
    const length = readLength(decoder, MATCH_LENGTH, positionState);
    lzma.rep0 = readDistance(decoder, length);
    lzma.state = afterLiteral ? 7 : 10;
    return length;
  }
  if (readBit(decoder, IS_REP0_OLD + state) === 0) {
    if (readBit(decoder, IS_REP0_LONG + (state << 4) + positionState) === 0) {
      lzma.state = afterLiteral ? 9 : 11;
      return 1;
    }
  } else {
    let distance = lzma.rep1;
    if (readBit(decoder, IS_REP1_OLD + state) === 1) {
      if (readBit(decoder, IS_REP2_OLD + state) === 0) distance = lzma.rep2;
      else {
        distance = lzma.rep3;
        lzma.rep3 = lzma.rep2;
      }
      lzma.rep2 = lzma.rep1;
    }
    lzma.rep1 = lzma.rep0;
    lzma.rep0 = distance;
  }
  lzma.state = afterLiteral ? 8 : 11;
  return readLength(decoder, REP_LENGTH, positionState);
}

function readLength(decoder: RangeDecoder, base: number, positionState: number): number {
  if (readBit(decoder, base) === 0) {
    return MIN_MATCH + readTree(decoder, base + 2 + positionState * 8, 3);
  }
  if (readBit(decoder, base + 1) === 0) {
    return MIN_MATCH + 8 + readTree(decoder, base + 2 + 16 * 8 + positionState * 8, 3);
  }
  return MIN_MATCH + 16 + readTree(decoder, base + 2 + 2 * 16 * 8, 8);
}

function readDistance(decoder: RangeDecoder, length: number): number {
  const lengthState = Math.min(length - MIN_MATCH, 3);
  const slot = readTree(decoder, DISTANCE_SLOT + lengthState * 64, 6);
  if (slot < 4) return slot;
  const bits = (slot >> 1) - 1;
  const high = 2 | (slot & 1);
  if (slot < 14) {
    const base = high << bits;
    return base + readReverseTree(decoder, DISTANCE_SPECIAL + base - slot, bits);
  }
  const middle = readDirect(decoder, bits - 4);
  return high * 2 ** bits + middle * 16 + readReverseTree(decoder, DISTANCE_ALIGN, 4);
}
