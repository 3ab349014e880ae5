import { createByteBudget, type Leasing } from "./byte-budget.ts";

/** Bytes that every task may work with without asking: what most files need, batches in the making included. */
const FLOOR_BYTES = 24 * 2 ** 20;
/** What the largest task leaves for batches that are on their way. */
const PASSING_BYTES = 24 * 2 ** 20;

/**
 * The one byte budget of a worker, in three parts that are all counted: a floor for each task that may run at one time,
 * set aside for good; record batches on their way, which come back by themselves; and what one task at a time works
 * with beyond its floor.
 *
 * Nobody waits for ever: who waits holds a floor, which nobody else wants, and batches that were sent, which come
 * back whatever happens. The one task beyond its floor waits for such batches alone.
 */
export interface WorkerMemory {
  /** Bytes. */
  readonly limit: number;
  /** Bytes set aside or leased now, and the most that ever were. */
  readonly used: number;
  readonly peak: number;
  readonly share: MemoryShare;
  /** Gives a task what it asks through, until it leaves. */
  seat(): MemorySeat;
}

/** What each task may work with, in bytes: without asking, and at the very most. */
export interface MemoryShare {
  readonly floorBytes: number;
  readonly maxBytes: number;
}

/** One task's claim to the worker's memory, from its beginning to its end. */
export interface MemorySeat extends Leasing, MemoryShare {
  /** Waits until the task may work with `bytes` in all, up to `maxBytes`; no more than the floor gives back the rest. */
  work(bytes: number, signal?: AbortSignal): Promise<void>;
  /** Gives back all that the task has, and ends its waiting. */
  leave(): void;
}

/** Creates the memory of a worker that runs up to `tasks` tasks at one time. */
export function createWorkerMemory(limit: number, tasks: number): WorkerMemory {
  // A small budget is shared out by halves, so that batches find room whatever it is.
  const floorBytes = Math.min(FLOOR_BYTES, Math.floor(limit / 2 / tasks));
  const setAside = floorBytes * tasks;
  const pool = createByteBudget(limit - setAside);
  const turns = createByteBudget(1);
  const maxBytes = floorBytes + Math.max(0, pool.limit - Math.min(PASSING_BYTES, pool.limit / 2));
  const share: MemoryShare = { floorBytes, maxBytes };

  const seat = (): MemorySeat => {
    const left = new AbortController();
    const until = (signal?: AbortSignal): AbortSignal =>
      signal === undefined ? left.signal : AbortSignal.any([left.signal, signal]);
    const leases = new Set<() => void>();
    let extra: (() => void)[] = [];
    let extraBytes = 0;
    /** What was granted just before the task left comes only now: nobody else would ever give it back. */
    const unlessEnded = (giveBack: () => void, ended: AbortSignal): (() => void) => {
      if (!ended.aborted) return giveBack;
      giveBack();
      throw ended.reason;
    };
    const shrink = (): void => {
      for (const giveBack of extra.reverse()) giveBack();
      extra = [];
      extraBytes = 0;
    };
    return {
      ...share,
      async lease(bytes, signal) {
        const ended = until(signal);
        const giveBack = unlessEnded(await pool.lease(bytes, ended), ended);
        const release = (): void => {
          leases.delete(release);
          giveBack();
        };
        leases.add(release);
        return release;
      },
      async work(bytes, signal) {
        const wanted = Math.min(bytes, maxBytes) - floorBytes;
        if (wanted <= 0) shrink();
        if (wanted <= extraBytes) return;
        const ended = until(signal);
        if (extraBytes === 0) extra.push(unlessEnded(await turns.lease(1, ended), ended));
        try {
          const more = await pool.leaseAhead(wanted - extraBytes, ended);
          extra.push(unlessEnded(more, ended));
          extraBytes = wanted;
        } finally {
          if (extraBytes === 0) shrink();
        }
      },
      leave() {
        left.abort(new Error("the task has ended"));
        shrink();
        for (const release of leases) release();
      },
    };
  };

  return {
    limit,
    share,
    get used() {
      return setAside + pool.used;
    },
    get peak() {
      return setAside + pool.peak;
    },
    seat,
  };
}
