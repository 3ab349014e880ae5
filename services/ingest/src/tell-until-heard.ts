import { setTimeout } from "node:timers/promises";
import { status } from "@grpc/grpc-js";
import { isStatus, LeaseLost } from "./lease-keeper.ts";

/** The pause before control is asked again after it did not answer. */
export const RECONNECT_MS = 500;

/** Repeats a call until control hears it or the lease is lost: a result must not get lost with a restart. Gives the answer. */
export async function tellUntilHeard<T>(signal: AbortSignal, call: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (isStatus(error, status.FAILED_PRECONDITION) || isStatus(error, status.NOT_FOUND)) {
        throw new LeaseLost("another attempt has taken over", { cause: error });
      }
      signal.throwIfAborted();
      if (isStatus(error, status.INVALID_ARGUMENT)) throw error;
      await pause(RECONNECT_MS, signal);
    }
  }
}

export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  // Waking early is what the signal is for; whoever waits looks at it again.
  await setTimeout(ms, undefined, { signal }).catch(() => undefined);
}
