import type { BitInput } from "./bit-input.ts";
import type { Bzip2Faults } from "./faults.ts";
import { type HuffmanCode, MAX_CODE_BITS, readHuffmanCode, readSymbol } from "./huffman.ts";

/** Symbols that are read with one code before the next selector says which code goes on. */
const GROUP_SYMBOLS = 50;
const GROUP_BYTES = Math.ceil((GROUP_SYMBOLS * MAX_CODE_BITS) / 8) + 8;
const RUN_A = 0;
const RUN_B = 1;

/** A block after its Huffman codes, move-to-front and runs of zeros were undone. */
export interface Bzip2Block {
  /** How many of `table` are the block's. */
  readonly size: number;
  /** Where the Burrows-Wheeler transform begins. */
  readonly origin: number;
}

/**
 * Reads one block whose magic and checksum were read. Each byte goes to the low 8 bits of `table`, whose
 * length is the most that the stream's header allows.
 */
export async function readBzip2Block(
  input: BitInput,
  table: Uint32Array,
  faults: Bzip2Faults,
): Promise<Bzip2Block> {
  await input.fill(64);
  if (input.bits(1) !== 0) {
    throw faults.unsupported(
      "A bzip2 block is randomised, as only versions before 0.9.5 wrote it.",
      "a randomised block",
      "a block of bzip2 0.9.5 or later",
    );
  }
  const origin = input.bits(24);
  const bytes = readBytesInUse(input);
  const codeCount = input.bits(3);
  if (bytes.byteLength === 0 || codeCount < 2 || codeCount > 6) {
    throw faults.corrupt("A bzip2 block's header is damaged.");
  }
  const selectors = await readSelectors(input, codeCount, faults);
  const codes: HuffmanCode[] = [];
  for (let i = 0; i < codeCount; i++) {
    codes.push(await readHuffmanCode(input, bytes.byteLength + 2, faults));
  }

  const state: RunState = { size: 0, run: 0, weight: 1, isOver: false, front: bytes };
  for (const selector of selectors) {
    if (!input.has(GROUP_BYTES)) await input.fill(GROUP_BYTES);
    if (!readGroup(input, codes[selector] as HuffmanCode, table, state)) {
      throw faults.corrupt("A bzip2 block's data is damaged.");
    }
    if (state.isOver) break;
  }
  if (input.isPastEnd) throw faults.truncated("inside a block");
  if (!state.isOver || origin >= state.size) {
    throw faults.corrupt("A bzip2 block's data is damaged.");
  }
  return { size: state.size, origin };
}

/** The bytes that occur in the block, in order: 16 bits for ranges of 16, then 16 for each range in use. */
function readBytesInUse(input: BitInput): Uint8Array {
  const ranges = input.bits(16);
  const bytes: number[] = [];
  for (let range = 0; range < 16; range++) {
    if ((ranges & (0x8000 >> range)) === 0) continue;
    const used = input.bits(16);
    for (let i = 0; i < 16; i++) if ((used & (0x8000 >> i)) !== 0) bytes.push(range * 16 + i);
  }
  return Uint8Array.from(bytes);
}

/** Which code each group of symbols is read with, each told by its place in a move-to-front list. */
async function readSelectors(
  input: BitInput,
  codeCount: number,
  faults: Bzip2Faults,
): Promise<Uint8Array> {
  const selectors = new Uint8Array(input.bits(15));
  if (selectors.byteLength === 0) throw faults.corrupt("A bzip2 block has no selectors.");
  const front = Uint8Array.from({ length: codeCount }, (_, i) => i);
  for (let i = 0; i < selectors.byteLength; i++) {
    if (!input.has(16)) await input.fill(16);
    let place = 0;
    while (input.bits(1) === 1) {
      place++;
      if (place >= codeCount) throw faults.corrupt("A bzip2 block has an impossible selector.");
    }
    selectors[i] = toFront(front, place);
  }
  return selectors;
}

interface RunState {
  size: number;
  /** The length of the run of the front byte that is being read, and what its next digit counts. */
  run: number;
  weight: number;
  isOver: boolean;
  readonly front: Uint8Array;
}

/** Reads up to 50 symbols; false for faults. */
function readGroup(
  input: BitInput,
  code: HuffmanCode,
  table: Uint32Array,
  state: RunState,
): boolean {
  const { front } = state;
  const last = front.byteLength + 1;
  let { size, run, weight } = state;
  for (let i = 0; i < GROUP_SYMBOLS; i++) {
    const symbol = readSymbol(input, code);
    if (symbol === RUN_A || symbol === RUN_B) {
      run += weight << symbol;
      weight *= 2;
      if (run > table.length - size) return false;
      continue;
    }
    if (run > 0) {
      table.fill(front[0] as number, size, size + run);
      size += run;
      run = 0;
      weight = 1;
    }
    if (symbol < 0) return false;
    if (symbol === last) {
      state.isOver = true;
      break;
    }
    if (size >= table.length) return false;
    table[size++] = toFront(front, symbol - 1);
  }
  state.size = size;
  state.run = run;
  state.weight = weight;
  return true;
}

function toFront(list: Uint8Array, place: number): number {
  const value = list[place] as number;
  if (place < 16) for (let i = place; i > 0; i--) list[i] = list[i - 1] as number;
  else list.copyWithin(1, 0, place);
  list[0] = value;
  return value;
}
