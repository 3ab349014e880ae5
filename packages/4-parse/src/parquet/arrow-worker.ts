import { parentPort, workerData } from "node:worker_threads";
import { initSync, readParquet, wasmMemory } from "parquet-wasm/esm/parquet_wasm.js";

/**
 * The thread in which parquet-wasm decodes: its memory goes with it, a trap ends it alone, and a decoder
 * that never returns can be ended from outside.
 */

/** What is asked: the rows `offset` up to `offset + limit` of a file, whose bytes stand in the first request. */
export interface DecodeRequest {
  readonly file?: Uint8Array<ArrayBuffer>;
  readonly offset: number;
  readonly limit: number;
}

export type DecodeAnswer =
  | { readonly kind: "rows"; readonly rows: number; readonly body: Uint8Array<ArrayBuffer> }
  /** The decoder said that the file is wrong. */
  | { readonly kind: "refused"; readonly reason: string }
  /** The decoder broke; its memory's size tells whether it was for want of it. */
  | { readonly kind: "trapped"; readonly reason: string; readonly memoryBytes: number };

initSync({ module: workerData });
let held: Uint8Array<ArrayBuffer> | undefined;

parentPort?.on("message", ({ file, offset, limit }: DecodeRequest) => {
  held = file ?? held;
  const answer = decode(held ?? new Uint8Array(0), offset, limit);
  parentPort?.postMessage(answer, answer.kind === "rows" ? [answer.body.buffer] : []);
});

function decode(file: Uint8Array, offset: number, limit: number): DecodeAnswer {
  try {
    const table = readParquet(file, { offset, limit, batchSize: limit });
    let rows = 0;
    for (const batch of table.recordBatches()) {
      rows += batch.numRows;
      batch.free();
    }
    // A copy of its own: what is handed over must not be a view into the decoder's memory.
    return { kind: "rows", rows, body: Uint8Array.from(table.intoIPCStream()) };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    // WebAssembly.RuntimeError: unreachable code, memory out of bounds, a stack that overflowed.
    const isTrap = error instanceof Error && /^(RuntimeError|RangeError)$/.test(error.name);
    if (!isTrap) return { kind: "refused", reason };
    return { kind: "trapped", reason, memoryBytes: wasmMemory().buffer.byteLength };
  }
}
