import { setTimeout as delay } from "node:timers/promises";
import { StageError } from "@sluice/errors";

export interface RetryPolicy {
  /** How long one request may be repeated, from its first try. Zero means one try. */
  readonly retryBudgetMs: number;
  /** The first pause; it doubles up to `maxPauseMs`, and a random share of it is waited. */
  readonly firstPauseMs: number;
  readonly maxPauseMs: number;
}

/**
 * Repeats what may be repeated. `once` gets the try's number, from 1; errors whose retry is not
 * automatic pass at once, and the last error passes when the budget is spent.
 */
export async function retrying<T>(
  policy: RetryPolicy,
  signal: AbortSignal | undefined,
  once: (attempt: number) => Promise<T>,
): Promise<T> {
  const deadline = performance.now() + policy.retryBudgetMs;
  for (let attempt = 1; ; attempt++) {
    try {
      return await once(attempt);
    } catch (error) {
      signal?.throwIfAborted();
      const longest = Math.min(policy.maxPauseMs, policy.firstPauseMs * 2 ** (attempt - 1));
      const pauseMs = longest * (0.5 + Math.random() / 2);
      const repeatable = error instanceof StageError && error.retry === "automatic";
      if (!repeatable || performance.now() + pauseMs > deadline) throw error;
      await delay(pauseMs, undefined, { signal });
    }
  }
}
