import type { Random } from "../chaos/random.ts";

/** A clock that is played: whatever waits for it comes in the order of its time, one after the other. */
export interface Timeline {
  /** Milliseconds since the start. */
  now(): number;
  /** Of two that are due at one moment chance says which comes first. */
  after(ms: number, happen: () => void): void;
  /** Plays until `isOver` or until so long; false when time was up, or nothing was due any more. */
  play(isOver: () => boolean, limitMs: number): Promise<boolean>;
}

interface Due {
  readonly time: number;
  readonly happen: () => void;
}

export function createTimeline(random: Random): Timeline {
  let now = 0;
  /** A heap: no entry is due before the one at `(at - 1) >> 1`. */
  const heap: Due[] = [];
  const timeOf = (at: number): number => heap[at]?.time ?? Number.POSITIVE_INFINITY;
  const swap = (a: number, b: number): void => {
    const [left, right] = [heap[a], heap[b]];
    if (left === undefined || right === undefined) throw new RangeError("no such entry");
    heap[a] = right;
    heap[b] = left;
  };
  const push = (due: Due): void => {
    let at = heap.push(due) - 1;
    for (let up = (at - 1) >> 1; at > 0 && timeOf(up) > due.time; up = (at - 1) >> 1) {
      swap(at, up);
      at = up;
    }
  };
  const pop = (): Due | undefined => {
    const [first] = heap;
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    heap[0] = last;
    for (let at = 0; ; ) {
      const child = timeOf(2 * at + 1) <= timeOf(2 * at + 2) ? 2 * at + 1 : 2 * at + 2;
      if (timeOf(child) >= last.time) return first;
      swap(at, child);
      at = child;
    }
  };
  return {
    now: () => now,
    after: (ms, happen) => push({ time: now + ms + random.next() * 1e-3, happen }),
    async play(isOver, limitMs) {
      // Lets the thread hear of other things once in a story.
      await new Promise(setImmediate);
      while (!isOver()) {
        const due = pop();
        if (due === undefined || due.time > limitMs) return false;
        now = due.time;
        due.happen();
        // All that follows from it at once, whatever number of promises it takes: a tick comes after all of them.
        await new Promise<void>((resolve) => process.nextTick(resolve));
      }
      return true;
    },
  };
}
