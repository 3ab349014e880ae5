import { Worker } from "node:worker_threads";
import { StageError } from "@sluice/errors";
import type { DecodeAnswer, DecodeRequest } from "./arrow-worker.ts";
import { decoderModule } from "./decoder-module.ts";

export interface ArrowDecoderOptions {
  /** Bytes that the decoder's own memory may grow to. */
  readonly maxDecoderBytes: number;
  /** A longer run for one piece is `parse.decoder_crashed`. */
  readonly decodeTimeoutMs: number;
}

/** Decodes Parquet files one after the other, each in pieces of its rows. */
export interface ArrowDecoder extends AsyncDisposable {
  /** Takes over the bytes of the file that is decoded from now on. */
  take(file: Uint8Array<ArrayBuffer>): void;
  /** An Arrow IPC stream of the rows `offset` up to `offset + rows`. */
  decode(offset: number, rows: number, signal?: AbortSignal): Promise<Uint8Array>;
}

/**
 * Starts a thread that decodes. Its failures are StageErrors:
 * `malformed` when the decoder says so or gives other rows than the footer counts,
 * `record_too_large` when its memory would not do, `decoder_crashed` for everything that breaks it.
 */
export function createArrowDecoder({
  maxDecoderBytes,
  decodeTimeoutMs,
}: ArrowDecoderOptions): ArrowDecoder {
  const worker = new Worker(new URL("./arrow-worker.ts", import.meta.url), {
    workerData: decoderModule(maxDecoderBytes),
    env: {},
    stderr: true,
  });
  // Heard all the time: a thread's error that nobody listens for ends the process.
  const ended = new AbortController();
  worker.once("error", (cause) => ended.abort(crashed("its thread broke", cause)));
  worker.once("exit", (code) => ended.abort(crashed(`its thread ended with code ${code}`)));
  return {
    take(file) {
      const request: DecodeRequest = { kind: "take", file };
      worker.postMessage(request, [file.buffer]);
    },
    async decode(offset, rows, signal) {
      const stops = [ended.signal, ...(signal === undefined ? [] : [signal])];
      const answer = nextAnswer(worker, decodeTimeoutMs, AbortSignal.any(stops));
      const request: DecodeRequest = { kind: "decode", offset, limit: rows };
      worker.postMessage(request);
      return bodyOf(await answer, rows, maxDecoderBytes);
    },
    async [Symbol.asyncDispose]() {
      await worker.terminate();
    },
  };
}

function bodyOf(answer: DecodeAnswer, rows: number, maxDecoderBytes: number): Uint8Array {
  if (answer.kind === "rows") {
    if (answer.rows === rows) return answer.body;
    const message = `the decoder gave ${answer.rows} rows where the footer counts ${rows}`;
    throw new StageError("parse", "malformed", message);
  }
  const cause = new Error(answer.reason);
  if (answer.kind === "refused") {
    throw new StageError("parse", "malformed", "the decoder refused the row group", { cause });
  }
  // What would pass the maximum is not given, so the memory stays below it: half of it means for want of it.
  if (answer.memoryBytes > maxDecoderBytes / 2) {
    const message = `the row group needs more memory to decode than maxDecoderBytes = ${maxDecoderBytes}`;
    throw new StageError("parse", "record_too_large", message, { cause });
  }
  throw crashed("it trapped", cause);
}

async function nextAnswer(
  worker: Worker,
  timeoutMs: number,
  stopped: AbortSignal,
): Promise<DecodeAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<DecodeAnswer>();
  const onStop = (): void => reject(stopped.reason);
  const timer = setTimeout(() => {
    reject(crashed(`it took longer than decodeTimeoutMs = ${timeoutMs}`));
  }, timeoutMs);
  worker.once("message", resolve);
  stopped.addEventListener("abort", onStop, { once: true });
  if (stopped.aborted) onStop();
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    worker.off("message", resolve);
    stopped.removeEventListener("abort", onStop);
  }
}

function crashed(message: string, cause?: Error): StageError<"parse"> {
  return new StageError(
    "parse",
    "decoder_crashed",
    `the Parquet decoder did not survive: ${message}`,
    {
      ...(cause === undefined ? {} : { cause }),
    },
  );
}
