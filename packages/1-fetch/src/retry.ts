import { setTimeout as sleep } from "node:timers/promises";
import { StageError } from "@sluice/errors";
import type { Limits } from "./options.ts";

/**
 * Waits before try number `failures + 1`: exponential, with full jitter, so that many readers that
 * were turned away together do not come back together. Rejects with the signal's reason.
 */
export async function backOff(
  failures: number,
  limits: Limits,
  signal: AbortSignal | undefined,
): Promise<void> {
  const ceiling = Math.min(limits.backoffMaxMs, limits.backoffBaseMs * 2 ** (failures - 1));
  try {
    await sleep(Math.random() * ceiling, undefined, signal === undefined ? {} : { signal });
  } catch (cause) {
    // The timer's own AbortError hides the reason that the caller gave.
    if (signal?.aborted === true) throw signal.reason;
    throw cause;
  }
}

/** Tries again what fails with an error that is worth it, at most `limits.maxAttempts` times in all. */
export async function withRetries<T>(
  limits: Limits,
  signal: AbortSignal | undefined,
  attempt: () => Promise<T>,
  translate: (error: unknown) => StageError,
): Promise<T> {
  for (let failures = 1; ; failures++) {
    try {
      signal?.throwIfAborted();
      return await attempt();
    } catch (error) {
      if (signal?.aborted === true) throw signal.reason;
      // Already judged where it came from (a session that could not be had): not tried twice over.
      if (error instanceof StageError) throw error;
      const failure = translate(error);
      if (failure.retry !== "automatic" || failures >= limits.maxAttempts) throw failure;
      await backOff(failures, limits, signal);
    }
  }
}
