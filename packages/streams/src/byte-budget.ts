/** The bytes a worker may hold at one time. Whoever holds a buffer across an await has leased it here. */
export interface ByteBudget {
  /** Bytes. */
  readonly limit: number;
  /** Bytes leased now, and the most that ever were. */
  readonly used: number;
  readonly peak: number;
  /**
   * Waits until `bytes` fit, first come, first served, and returns the call that gives them back
   * (calling it again does nothing). More than the whole limit is granted alone, once all else is
   * back: one huge record batch must not wait for ever. Rejects with the signal's reason.
   */
  lease(bytes: number, signal?: AbortSignal): Promise<() => void>;
}

interface Waiter {
  readonly bytes: number;
  readonly grant: () => void;
}

/** Creates a budget of `limit` bytes. */
export function createByteBudget(limit: number): ByteBudget {
  let used = 0;
  let peak = 0;
  const waiting: Waiter[] = [];

  const fits = (bytes: number): boolean => used === 0 || used + bytes <= limit;
  const take = (bytes: number): (() => void) => {
    used += bytes;
    peak = Math.max(peak, used);
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      used -= bytes;
      while (waiting[0] !== undefined && fits(waiting[0].bytes)) waiting.shift()?.grant();
    };
  };

  return {
    limit,
    get used() {
      return used;
    },
    get peak() {
      return peak;
    },
    async lease(bytes, signal) {
      signal?.throwIfAborted();
      if (waiting.length === 0 && fits(bytes)) return take(bytes);
      return await new Promise<() => void>((resolve, reject) => {
        const abandon = (): void => {
          waiting.splice(waiting.indexOf(waiter), 1);
          reject(signal?.reason);
        };
        const waiter: Waiter = {
          bytes,
          grant: () => {
            signal?.removeEventListener("abort", abandon);
            resolve(take(bytes));
          },
        };
        signal?.addEventListener("abort", abandon, { once: true });
        waiting.push(waiter);
      });
    },
  };
}
