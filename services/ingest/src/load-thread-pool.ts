import { Worker } from "node:worker_threads";
import { StageError, type StageFailure } from "@sluice/errors";
import { createWorkerMemory, type MemoryShare, type WorkerMemory } from "@sluice/streams";
import type { IngestConfig } from "./config.ts";
import type { UnitOutcome } from "./load-unit.ts";
import { type Granted, serveMemory, type ToMemory } from "./memory-messages.ts";
import type { LoadOutcome, LoadState } from "./pipeline.ts";
import type { LoadReport } from "./telemetry/load-report.ts";

/** The calls of InspectService that read objects, by their names in generated clients. */
export type LookKind = "previewObject" | "inferFileSettings" | "checkFile";

/** What a load thread begins with. */
export interface LoadThreadData {
  readonly config: IngestConfig;
  readonly memory: MemoryShare;
}

type Task =
  | { readonly kind: "load" | "unit"; readonly lease: Uint8Array }
  | { readonly kind: "look"; readonly look: LookKind; readonly request: Uint8Array };

/** What the main thread says to a load thread. */
export type ToLoadThread =
  | Task
  | Granted
  | { readonly kind: "stop"; readonly reason: string }
  | { readonly kind: "ping" };

/** What a load thread says to the main thread. */
export type FromLoadThread =
  | ToMemory
  | Answer
  | { readonly kind: "alive" }
  | { readonly kind: "state"; readonly state: LoadState }
  | { readonly kind: "report"; readonly report: LoadReport };

/** What a task ends with. */
type Answer =
  | { readonly kind: "done"; readonly outcome: LoadOutcome }
  | { readonly kind: "unit"; readonly outcome: UnitOutcome }
  | { readonly kind: "seen"; readonly response: Uint8Array }
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
  /** What all threads hold together. */
  readonly memory: Pick<WorkerMemory, "limit" | "used" | "peak">;
  /** Loads one object in a thread of its own. Rejects with LoadThreadFailure, or the signal's reason. */
  run(
    lease: Uint8Array,
    options: {
      readonly signal: AbortSignal;
      readonly onState: (state: LoadState) => void;
      readonly onReport?: (report: LoadReport) => void;
    },
  ): Promise<LoadOutcome>;
  /** Loads the objects of a unit together, in the same way. */
  runUnit(
    lease: Uint8Array,
    options: {
      readonly signal: AbortSignal;
      readonly onReport?: (report: LoadReport) => void;
    },
  ): Promise<UnitOutcome>;
  /** Answers a call that looks into an object, as messages in bytes; rejects in the same ways. */
  look(look: LookKind, request: Uint8Array, signal: AbortSignal): Promise<Uint8Array>;
  close(): Promise<void>;
}

/**
 * V8's space for new objects, in MiB. A load's bytes live outside of the heap; by default the space grows to 48 MiB a
 * thread to no use: decision 0015.
 */
const YOUNG_GENERATION_MIB = 6;

/** Calls that look into objects, at one time, beside the tasks. */
export const LOOKS_AT_ONE_TIME = 2;

/** A decoder that does not come back from its loop is not waited for. */
const PATIENCE_MS = 2_000;

/**
 * How often a thread is asked whether it still turns, until its silence is too long. Turns are counted, not time: a
 * process that was stopped and goes on counts one.
 */
const PINGS = 10;

/**
 * Threads with a heap limit, so that a decoder that crashes or swells costs one task and gets a code
 * while the worker lives; one that never comes back to its event loop is ended. A thread is used again unless its task
 * ended badly. `inside` is what runs in a thread.
 */
export function createLoadThreadPool(
  config: IngestConfig,
  inside: URL = new URL("./load-thread.ts", import.meta.url),
): LoadThreadPool {
  const memory = createWorkerMemory(config.memoryBudgetBytes, config.capacity + LOOKS_AT_ONE_TIME);
  const idle: Worker[] = [];
  const all = new Set<Worker>();

  const start = (): Worker => {
    const thread = new Worker(inside, {
      workerData: { config, memory: memory.share } satisfies LoadThreadData,
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

  /** One thing to do, in a thread of its own; `answerOf` gives what its last message holds. */
  async function perform<T>(
    task: Task,
    options: {
      readonly signal: AbortSignal;
      readonly onState?: (state: LoadState) => void;
      readonly onReport?: (report: LoadReport) => void;
      /** Milliseconds after an abort in which a thread may still say a word; then it is ended. For ever when not set. */
      readonly patienceMs?: number;
    },
    answerOf: (message: Answer) => T | undefined,
  ): Promise<T> {
    const { signal, onState, onReport } = options;
    signal.throwIfAborted();
    const thread = idle.pop() ?? start();
    const seat = memory.seat();
    return await new Promise<T>((resolve, reject) => {
      let impatience: NodeJS.Timeout | undefined;
      let unanswered = 0;
      const tell = (message: ToLoadThread): void => thread.postMessage(message);
      const stop = (): void => {
        tell({ kind: "stop", reason: String(signal.reason) });
        if (options.patienceMs === undefined) return;
        impatience = setTimeout(() => void thread.terminate(), options.patienceMs);
      };
      const serve = serveMemory(seat, tell);
      const watch = setInterval(() => {
        if (unanswered >= PINGS) void thread.terminate();
        else tell({ kind: "ping" });
        unanswered++;
      }, config.threadSilenceMs / PINGS);
      const settle = (): void => {
        seat.leave();
        clearTimeout(impatience);
        clearInterval(watch);
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
        const isSilent = unanswered > PINGS;
        const cause = new Error(`the load thread exited with ${code}`);
        reject(toCrash(cause, isSilent ? SILENT : undefined));
      };
      thread.on("message", (message: FromLoadThread) => {
        unanswered = 0;
        if (message.kind === "alive") return;
        if (message.kind === "state") {
          onState?.(message.state);
          return;
        }
        if (message.kind === "report") {
          onReport?.(message.report);
          return;
        }
        if (message.kind === "lease" || message.kind === "work" || message.kind === "release") {
          serve(message);
          return;
        }
        settle();
        idle.push(thread);
        const answer = answerOf(message);
        if (signal.aborted) reject(signal.reason);
        else if (message.kind === "failed") {
          reject(new LoadThreadFailure(message.failure, message.technical));
        } else if (answer === undefined)
          reject(new Error("the load thread answered something else"));
        else resolve(answer);
      });
      thread.once("error", crashed);
      thread.once("exit", exited);
      signal.addEventListener("abort", stop, { once: true });
      tell(task);
    });
  }

  return {
    memory,
    run: async (lease, options) =>
      await perform({ kind: "load", lease }, options, (message) =>
        message.kind === "done" ? message.outcome : undefined,
      ),
    runUnit: async (lease, options) =>
      await perform({ kind: "unit", lease }, options, (message) =>
        message.kind === "unit" ? message.outcome : undefined,
      ),
    look: async (look, request, signal) =>
      await perform(
        { kind: "look", look, request },
        { signal, patienceMs: PATIENCE_MS },
        (message) => (message.kind === "seen" ? message.response : undefined),
      ),
    async close() {
      await Promise.all([...all].map((thread) => thread.terminate()));
    },
  };
}

const SILENT =
  "the load of this file turned in a circle for as long as SLUICE_THREAD_SILENCE_MS allows";

function toCrash(cause: Error, reason?: string): LoadThreadFailure {
  const outOfMemory = "code" in cause && cause.code === "ERR_WORKER_OUT_OF_MEMORY";
  const error = new StageError(
    "parse",
    "decoder_crashed",
    outOfMemory
      ? "the file needs more memory than SLUICE_THREAD_HEAP_MIB allows one load"
      : (reason ?? "the load of this file ended without a word"),
    { cause },
  );
  return new LoadThreadFailure(error.toFailure(), cause.stack ?? cause.message);
}
