import { parentPort, workerData } from "node:worker_threads";
import { initSync, readParquet, wasmMemory } from "parquet-wasm/esm/parquet_wasm.js";

/**
 * The thread in which parquet-wasm decodes: its memory goes with it, a trap ends it alone, and a decoder
 * that never returns can be ended from outside.
 */

export type DecodeRequest =
  /** The file that is meant from now on. */
  | { readonly kind: "take"; readonly file: Uint8Array<ArrayBuffer> }
  /** The rows `offset` up to `offset + limit` of it are asked for. */
  | { readonly kind: "decode"; readonly offset: number; readonly limit: number };

export type DecodeAnswer =
  | { readonly kind: "rows"; readonly rows: number; readonly body: Uint8Array<ArrayBuffer> }
  /** The decoder said that the file is wrong. */
  | { readonly kind: "refused"; readonly reason: string }
  /** The decoder broke; its memory's size tells whether it was for want of it. */
  | { readonly kind: "trapped"; readonly reason: string; readonly memoryBytes: number };

initSync({ module: workerData });
let held: Uint8Array = new Uint8Array(0);

parentPort?.on("message", (request: DecodeRequest) => {
  if (request.kind === "take") {
    held = request.file;
    return;
  }
  const answer = decode(held, request.offset, request.limit);
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
    const stream = table.intoIPCStream();
    // What is handed over must not be a view into the decoder's memory.
    const { buffer } = stream;
    const isOwn = buffer instanceof ArrayBuffer && buffer.byteLength === stream.byteLength;
    const body = isOwn ? new Uint8Array(buffer) : new Uint8Array(stream);
    return { kind: "rows", rows, body };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    // WebAssembly.RuntimeError: unreachable code, memory out of bounds, a stack that overflowed.
    const isTrap = error instanceof Error && /^(RuntimeError|RangeError)$/.test(error.name);
    if (!isTrap) return { kind: "refused", reason };
    return { kind: "trapped", reason, memoryBytes: wasmMemory().buffer.byteLength };
  }
}
