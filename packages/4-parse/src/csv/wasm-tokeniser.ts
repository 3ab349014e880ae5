import {
  createModulePool,
  type ModuleMemory,
  type ModulePool,
} from "../webassembly/module-pool.ts";
import { WASM_MODULE } from "./wasm-module.ts";

/** What wasm/tokenise.ts exports. Addresses and lengths are in bytes of its memory. */
export interface WasmTokeniser {
  readonly memory: ModuleMemory;
  readonly rows: { readonly value: number };
  readonly position: { readonly value: number };
  readonly fields: { readonly value: number };
  readonly garbled: { readonly value: number };
  readonly recordStart: { readonly value: number };
  readonly recordEnd: { readonly value: number };
  configure(
    delimiter: number,
    quote: number,
    escapeMark: number,
    isDoubling: boolean,
    width: number,
    nullAt: number,
    nullLength: number,
    maxRows: number,
    maxBlockBytes: number,
    maxRecordBytes: number,
    maxFieldBytes: number,
  ): void;
  begin(at: number): void;
  cut(end: number, isLast: boolean, base: number, index: number, capacity: number): number;
  isFull(): number;
  fill(index: number, table: number, out: number): number;
}

/** What `cut` returns. */
export const MORE = 0;
export const FULL = 1;
export const NO_ROOM = 2;
export const FAULTY = 3;
export const UNCLOSED = 4;
export const LARGE_RECORD = 5;

/** One that has grown larger is not kept for the next file. */
const MAX_KEPT_BYTES = 4 * 2 ** 20;

/** At most as many as files were read at one time, in a thread that loads: one. */
export const tokenisers: ModulePool<WasmTokeniser> = createModulePool(
  WASM_MODULE,
  ({ memory }) => memory.buffer.byteLength <= MAX_KEPT_BYTES,
);
