import type { MemorySeat, MemoryShare } from "@sluice/streams";

/**
 * A task's claim to the worker's memory across the border of its thread: the counters stand in the main thread, where
 * they outlive whatever happens to the others.
 */

/** What a load thread asks of the main thread. */
export type ToMemory =
  | { readonly kind: "lease"; readonly id: number; readonly bytes: number }
  | { readonly kind: "work"; readonly id: number; readonly bytes: number }
  /** The lease is given back, or waited for no more. */
  | { readonly kind: "release"; readonly id: number };

/** What the main thread answers: what was asked for under this number is there. */
export interface Granted {
  readonly kind: "granted";
  readonly id: number;
}

/** The main thread's side: answers by `grant`. What a task still waits for when it has ended is never granted. */
export function serveMemory(
  seat: MemorySeat,
  grant: (granted: Granted) => void,
): (message: ToMemory) => void {
  const asked = new Map<number, { readonly stop: AbortController; release?: () => void }>();
  return (message) => {
    const { id } = message;
    if (message.kind === "release") {
      const lease = asked.get(id);
      asked.delete(id);
      lease?.stop.abort();
      lease?.release?.();
      return;
    }
    if (message.kind === "work") {
      seat.work(message.bytes).then(
        () => grant({ kind: "granted", id }),
        () => undefined,
      );
      return;
    }
    const stop = new AbortController();
    const lease: { readonly stop: AbortController; release?: () => void } = { stop };
    asked.set(id, lease);
    seat.lease(message.bytes, stop.signal).then(
      (release) => {
        // It was given back while it was granted.
        if (stop.signal.aborted) return release();
        lease.release = release;
        grant({ kind: "granted", id });
      },
      () => undefined,
    );
  };
}

export interface RemoteMemory extends Omit<MemorySeat, "leave"> {
  readonly onGranted: (granted: Granted) => void;
}

/** The load thread's side, for one task after the other. */
export function createRemoteMemory(
  share: MemoryShare,
  ask: (message: ToMemory) => void,
): RemoteMemory {
  const waiting = new Map<number, () => void>();
  let lastId = 0;

  async function answer(
    message: (id: number) => ToMemory,
    signal: AbortSignal | undefined,
  ): Promise<number> {
    signal?.throwIfAborted();
    const id = ++lastId;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const abandon = (): void => {
      waiting.delete(id);
      ask({ kind: "release", id });
      reject(signal?.reason);
    };
    waiting.set(id, resolve);
    signal?.addEventListener("abort", abandon, { once: true });
    ask(message(id));
    await promise;
    signal?.removeEventListener("abort", abandon);
    return id;
  }

  return {
    ...share,
    async lease(bytes, signal) {
      const id = await answer((id) => ({ kind: "lease", id, bytes }), signal);
      return () => ask({ kind: "release", id });
    },
    async work(bytes, signal) {
      await answer((id) => ({ kind: "work", id, bytes }), signal);
    },
    onGranted({ id }) {
      waiting.get(id)?.();
      waiting.delete(id);
    },
  };
}
