import {
  createModulePool,
  type ModuleMemory,
  type ModulePool,
} from "../webassembly/module-pool.ts";
import { WASM_MODULE } from "./wasm-module.ts";

/** What the module of wasm/xml-records.ts exports: positions and lengths are bytes of its memory. */
export interface RecordScanner {
  readonly memory: ModuleMemory;
  heapBase(): number;
  setLayout(
    names: number,
    maxNames: number,
    slots: number,
    spellings: number,
    spellingsEnd: number,
    levels: number,
    marks: number,
    marksEnd: number,
    columns: number,
    width: number,
    byteOffsets: number,
    recordPlace: number,
  ): void;
  setLimits(
    depth: number,
    attributes: number,
    members: number,
    recordBytes: number,
    rowBytes: number,
  ): void;
  forgetNames(): void;
  addName(at: number, length: number, flags: number): number;
  scan(
    from: number,
    end: number,
    base: number,
    depth: number,
    roomRows: number,
    blockRows: number,
    blockBytes: number,
  ): number;
  scanStatus(): number;
  rowCount(): number;
  recordStart(): number;
  recordEnd(): number;
  endOfMarks(): number;
  newNameStart(): number;
  newNameEnd(): number;
  stampCount(): number;
  checked(from: number, to: number): number;
  countLines(from: number, to: number): number;
  columnBehind(): number;
}

// What `scanStatus` says.
export const WANTS_MORE = 0;
export const ROOM = 1;
export const BLOCK = 2;
// And 3, LEFT: what stands at its result is not for the scanner.
export const MARKS = 4;
export const NAME = 5;

// Of names: their size, where their flags are, and these.
export const NAME_BYTES = 48;
export const NAME_FLAGS_AT = 12;
export const IS_RECORD = 1;
export const IS_KNOWN_ELEMENT = 2;
export const IS_KNOWN_ATTRIBUTE = 4;
export const IS_DECLARING = 8;

// Of places in a record.
export const PLACE_BYTES = 32;
export const IN_DOUBT = 1;

// Of marks: their size, and the kinds and flags of the first of their four numbers.
export const MARK_BYTES = 16;
export const KIND = 7;
export const OPEN = 1;
export const CLOSE = 2;
export const LEAF = 3;
export const ATTRIBUTE = 4;
export const IS_WRITTEN_OTHERWISE = 8;
export const IS_CDATA = 16;

/** Scanners that no file has are kept, but no more. */
const MAX_IDLE = 4;

export const recordScanners: ModulePool<RecordScanner> = createModulePool(
  WASM_MODULE,
  (_, kept) => kept < MAX_IDLE,
);
