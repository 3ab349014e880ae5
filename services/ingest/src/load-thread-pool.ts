import { Worker } from "node:worker_threads";
import { StageError, type StageFailure } from "@sluice/errors";
import type { IngestConfig } from "./config.ts";
import type { LoadOutcome, LoadState } from "./pipeline.ts";

/** What the main thread says to a load thread. */
export type ToLoadThread =
  | { readonly kind: "load"; readonly lease: Uint8Array }
  | { readonly kind: "stop"; readonly reason: string };

/** What a load thread says to the main thread. */
export type FromLoadThread =
  | { readonly kind: "state"; readonly state: LoadState }
  | { readonly kind: "done"; readonly outcome: LoadOutcome }
  | { readonly kind: "failed"; readonly failure: StageFailure; readonly technical: string };

/** A failure that happened in a load thread; `technical` is for the engineer on call. */
export class LoadThreadFailure extends Error {
  override readonly name: string = "LoadThreadFailure";
  readonly failure: StageFailure;

  constructor(failure: StageFailure, technical: string) {
    super(technical);
    this.failure = failure;
  }
}

export interface LoadThreadPool {
  /** Loads one object in a thread of its own. Rejects with LoadThreadFailure, or the signal's reason. */
  run(
    lease: Uint8Array,
    options: { readonly signal: AbortSignal; readonly onState: (state: LoadState) => void },
  ): Promise<LoadOutcome>;
  close(): Promise<void>;
}

/**
 * V8's space for new objects, in MiB. A load's bytes live outside of the heap; by default the space grows to 48 MiB a
 * thread to no use: decision 0015.
 */
const YOUNG_GENERATION_MIB = 6;

/**
 * Threads with a heap limit, so that a decoder that crashes or swells costs one task and gets a code
 * while the worker lives. A thread is used again unless its task ended badly.
 */
export function createLoadThreadPool(config: IngestConfig): LoadThreadPool {
  const idle: Worker[] = [];
  const all = new Set<Worker>();

  const start = (): Worker => {
    const thread = new Worker(new URL("./load-thread.ts", import.meta.url), {
      workerData: config,
      resourceLimits: {
        maxOldGenerationSizeMb: config.threadHeapMib,
        maxYoungGenerationSizeMb: YOUNG_GENERATION_MIB,
      },
    });
    // The main thread's own handles keep the process alive; an idle thread must not.
    thread.unref();
    all.add(thread);
    thread.once("exit", () => {
      all.delete(thread);
      const at = idle.indexOf(thread);
      if (at >= 0) idle.splice(at, 1);
    });
    return thread;
  };

  return {
    async run(lease, { signal, onState }) {
      signal.throwIfAborted();
      const thread = idle.pop() ?? start();
      return await new Promise<LoadOutcome>((resolve, reject) => {
        const tell = (message: ToLoadThread): void => thread.postMessage(message);
        const stop = (): void => tell({ kind: "stop", reason: String(signal.reason) });
        const settle = (): void => {
          signal.removeEventListener("abort", stop);
          thread.removeAllListeners("message");
          thread.off("error", crashed);
          thread.off("exit", exited);
        };
        const crashed = (error: Error): void => {
          settle();
          reject(toCrash(error));
        };
        const exited = (code: number): void => {
          settle();
          reject(toCrash(new Error(`the load thread exited with ${code}`)));
        };
        thread.on("message", (message: FromLoadThread) => {
          if (message.kind === "state") {
            onState(message.state);
            return;
          }
          settle();
          idle.push(thread);
          if (signal.aborted) reject(signal.reason);
          else if (message.kind === "done") resolve(message.outcome);
          else reject(new LoadThreadFailure(message.failure, message.technical));
        });
        thread.once("error", crashed);
        thread.once("exit", exited);
        signal.addEventListener("abort", stop, { once: true });
        tell({ kind: "load", lease });
      });
    },
    async close() {
      await Promise.all([...all].map((thread) => thread.terminate()));
    },
  };
}

function toCrash(cause: Error): LoadThreadFailure {
  const outOfMemory = "code" in cause && cause.code === "ERR_WORKER_OUT_OF_MEMORY";
  const error = new StageError(
    "parse",
    "decoder_crashed",
    outOfMemory
      ? "the file needs more memory than SLUICE_THREAD_HEAP_MIB allows one load"
      : "the load of this file ended without a word",
    { cause },
  );
  return new LoadThreadFailure(error.toFailure(), cause.stack ?? cause.message);
}
