/** Bytes that may be held at one time. Whoever holds a buffer across an await has leased it here. */
export interface ByteBudget {
  /** Bytes. */
  readonly limit: number;
  /** Bytes leased now, and the most that ever were. */
  readonly used: number;
  readonly peak: number;
  /**
   * Waits until `bytes` fit, first come, first served, and returns the call that gives them back
   * (calling it again does nothing). What does not fit beside the other leases is granted once they are all back: one
   * huge record batch must not wait for ever. Rejects with the signal's reason.
   */
  lease(bytes: number, signal?: AbortSignal): Promise<() => void>;
  /**
   * The same for bytes that come back late: served before all leases that wait, only ever where they fit, and no
   * reason for a huge lease to wait. One holder at a time, or two may wait for each other.
   */
  leaseAhead(bytes: number, signal?: AbortSignal): Promise<() => void>;
}

/** What asks for leases alone. */
export type Leasing = Pick<ByteBudget, "lease">;

interface Waiter {
  readonly bytes: number;
  readonly isAhead: boolean;
  readonly grant: () => void;
}

/** Creates a budget of `limit` bytes. */
export function createByteBudget(limit: number): ByteBudget {
  let used = 0;
  let peak = 0;
  /** Of `used`, what is leased and comes back soon. */
  let passing = 0;
  const ahead: Waiter[] = [];
  const waiting: Waiter[] = [];

  const fits = ({ bytes, isAhead }: Pick<Waiter, "bytes" | "isAhead">): boolean =>
    used + bytes <= limit || (!isAhead && passing === 0);
  const serve = (): void => {
    for (const line of [ahead, waiting]) {
      while (line[0] !== undefined && fits(line[0])) line.shift()?.grant();
      // What was asked for ahead is not overtaken.
      if (line.length > 0) return;
    }
  };
  const take = (bytes: number, isAhead: boolean): (() => void) => {
    used += bytes;
    if (!isAhead) passing += bytes;
    peak = Math.max(peak, used);
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      used -= bytes;
      if (!isAhead) passing -= bytes;
      serve();
    };
  };

  async function ask(
    bytes: number,
    isAhead: boolean,
    signal: AbortSignal | undefined,
  ): Promise<() => void> {
    signal?.throwIfAborted();
    const line = isAhead ? ahead : waiting;
    const isFirst = ahead.length === 0 && (isAhead || waiting.length === 0);
    if (isFirst && fits({ bytes, isAhead })) return take(bytes, isAhead);
    return await new Promise<() => void>((resolve, reject) => {
      const abandon = (): void => {
        line.splice(line.indexOf(waiter), 1);
        reject(signal?.reason);
        serve();
      };
      const waiter: Waiter = {
        bytes,
        isAhead,
        grant: () => {
          signal?.removeEventListener("abort", abandon);
          resolve(take(bytes, isAhead));
        },
      };
      signal?.addEventListener("abort", abandon, { once: true });
      line.push(waiter);
    });
  }

  return {
    limit,
    get used() {
      return used;
    },
    get peak() {
      return peak;
    },
    lease: async (bytes, signal) => await ask(bytes, false, signal),
    leaseAhead: async (bytes, signal) => await ask(bytes, true, signal),
  };
}
