import { WASM_MODULE } from "./wasm-module.ts";

/** What the module of wasm/json-lines.ts exports: positions and lengths are bytes of its memory. */
export interface LineScanner {
  readonly memory: ScannerMemory;
  heapBase(): number;
  setLayout(
    columns: number,
    width: number,
    record: number,
    element: number,
    byteOffsets: number,
    scratch: number,
    closers: number,
  ): void;
  setLimits(
    recordBytes: number,
    keyBytes: number,
    keys: number,
    depth: number,
    explodedBytes: number,
  ): void;
  scan(
    from: number,
    end: number,
    base: number,
    roomRows: number,
    blockRows: number,
    firstOffset: number,
    maxBytes: number,
  ): number;
  scanStatus(): number;
  rowCount(): number;
  unexplodedCount(): number;
  stampCount(): number;
}

interface ScannerMemory {
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}

/** What is used of it: the project's libraries do not declare it. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: unknown };
};

const PAGE_BYTES = 65_536;

let module: object | undefined;
/** Scanners that no file has: memory for WebAssembly is dear to reserve, so files take turns with it. */
const idle: LineScanner[] = [];
const MAX_IDLE = 4;

/** A scanner for one file, which gives it back. */
export function takeScanner(): LineScanner {
  const known = idle.pop();
  if (known !== undefined) return known;
  module ??= new WebAssembly.Module(Buffer.from(WASM_MODULE, "base64"));
  return new WebAssembly.Instance(module, {}).exports as LineScanner;
}

export function giveBack(scanner: LineScanner): void {
  if (idle.length < MAX_IDLE) idle.push(scanner);
}

/** Makes the memory at least so large; what views it had is to be made anew. */
export function ensureBytes({ memory }: LineScanner, bytes: number): void {
  const missing = bytes - memory.buffer.byteLength;
  if (missing > 0) memory.grow(Math.ceil(missing / PAGE_BYTES));
}
