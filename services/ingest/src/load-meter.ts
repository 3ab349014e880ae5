import type { Stage } from "@sluice/errors";
import type { Checkpoint } from "./load-work.ts";

/** How far a load is, in plain data. */
export interface LoadState {
  readonly stage: Stage;
  readonly bytesRead: number;
  readonly bytesTotal: number;
  readonly elapsedMs: number;
  /** What is durable. */
  readonly checkpoint: Checkpoint;
}

/** Counts what passes and tells of it, at most once in `intervalMs`. */
export interface LoadMeter {
  /** The stream as it is, its bytes counted. */
  count(bytes: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array>;
  acknowledge(checkpoint: Checkpoint): void;
  readonly state: LoadState;
}

export function createLoadMeter(options: {
  readonly bytesTotal: number;
  readonly resumeAt: Checkpoint;
  readonly intervalMs: number;
  readonly onState: (state: LoadState) => void;
}): LoadMeter {
  const { bytesTotal, intervalMs, onState } = options;
  const begin = performance.now();
  let told = Number.NEGATIVE_INFINITY;
  let stage: Stage = "fetch";
  let bytesRead = 0;
  let checkpoint = options.resumeAt;

  const state = (): LoadState => ({
    stage,
    bytesRead,
    bytesTotal,
    elapsedMs: performance.now() - begin,
    checkpoint,
  });
  const tell = (): void => {
    const now = performance.now();
    if (now - told < intervalMs) return;
    told = now;
    onState(state());
  };

  return {
    async *count(bytes) {
      for await (const chunk of bytes) {
        bytesRead += chunk.byteLength;
        tell();
        yield chunk;
      }
    },
    acknowledge(durable) {
      stage = "load";
      checkpoint = durable;
      tell();
    },
    get state() {
      return state();
    },
  };
}
