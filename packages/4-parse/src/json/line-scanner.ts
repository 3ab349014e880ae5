import {
  createModulePool,
  type ModuleMemory,
  type ModulePool,
} from "../webassembly/module-pool.ts";
import { WASM_MODULE } from "./wasm-module.ts";

/** What the module of wasm/json-lines.ts exports: positions and lengths are bytes of its memory. */
export interface LineScanner {
  readonly memory: ModuleMemory;
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

/** Scanners that no file has are kept, but no more. */
const MAX_IDLE = 4;

export const lineScanners: ModulePool<LineScanner> = createModulePool(
  WASM_MODULE,
  (_, kept) => kept < MAX_IDLE,
);
