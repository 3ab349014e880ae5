import { WASM_MODULE } from "./wasm-module.ts";

/** What wasm/tokenise.ts exports. Addresses and lengths are in bytes of its memory. */
export interface WasmTokeniser {
  readonly memory: { readonly buffer: ArrayBuffer; grow(pages: number): number };
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

/** What is used of it: the project's libraries do not declare it. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: unknown };
};

const PAGE_BYTES = 65_536;
/** One that has grown larger is not kept for the next file. */
const MAX_KEPT_BYTES = 4 * 2 ** 20;

let module: object | undefined;
/** At most as many as files were read at one time, in a thread that loads: one. */
const idle: WasmTokeniser[] = [];

/** One that nobody else uses until it is given back. */
export function borrowTokeniser(): WasmTokeniser {
  const kept = idle.pop();
  if (kept !== undefined) return kept;
  module ??= new WebAssembly.Module(Buffer.from(WASM_MODULE, "base64"));
  return new WebAssembly.Instance(module, {}).exports as WasmTokeniser;
}

export function giveBackTokeniser(tokeniser: WasmTokeniser): void {
  if (tokeniser.memory.buffer.byteLength <= MAX_KEPT_BYTES) idle.push(tokeniser);
}

/** Makes its memory at least so large. Views on it end. */
export function reserve({ memory }: WasmTokeniser, bytes: number): void {
  const missing = bytes - memory.buffer.byteLength;
  if (missing > 0) memory.grow(Math.ceil(missing / PAGE_BYTES));
}
