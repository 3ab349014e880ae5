import { setTimeout as delay } from "node:timers/promises";
import { StageError } from "@sluice/errors";

export interface RetryPolicy {
  /** How long one request may be repeated, from its first try. Zero means one try. */
  readonly retryBudgetMs: number;
  /** The first pause; it doubles up to `maxPauseMs`, and a random share of it is waited. */
  readonly firstPauseMs: number;
  readonly maxPauseMs: number;
}

/** What tells the time and waits: the machine's clock and its chance, or ones that are played. */
export interface RetryClock {
  /** Milliseconds from some moment on; never back. */
  now(): number;
  /** Rejects with the signal's reason when it comes. */
  sleep(ms: number, signal: AbortSignal | undefined): Promise<void>;
  /** From 0 up to 1: which share of a pause is waited. */
  chance(): number;
}

const MACHINE_CLOCK: RetryClock = {
  now: () => performance.now(),
  sleep: async (ms, signal) => await delay(ms, undefined, { signal }),
  chance: Math.random,
};

/**
 * Repeats what may be repeated. `once` gets the try's number, from 1; errors whose retry is not
 * automatic pass at once, and the last error passes when the budget is spent.
 */
export async function retrying<T>(
  policy: RetryPolicy,
  signal: AbortSignal | undefined,
  once: (attempt: number) => Promise<T>,
  clock: RetryClock = MACHINE_CLOCK,
): Promise<T> {
  const deadline = clock.now() + policy.retryBudgetMs;
  for (let attempt = 1; ; attempt++) {
    try {
      return await once(attempt);
    } catch (error) {
      signal?.throwIfAborted();
      const longest = Math.min(policy.maxPauseMs, policy.firstPauseMs * 2 ** (attempt - 1));
      const pauseMs = longest * (0.5 + clock.chance() / 2);
      const repeatable = error instanceof StageError && error.retry === "automatic";
      if (!repeatable || clock.now() + pauseMs > deadline) throw error;
      await clock.sleep(pauseMs, signal);
    }
  }
}
