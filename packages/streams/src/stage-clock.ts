/** Where the time of one stage went, in milliseconds; the three sum up to the time that was measured. */
export interface StageTime {
  readonly stage: string;
  /** It worked: its reader waited for it while it did not wait for its own source. */
  readonly busyMs: number;
  /** It waited for the stage before it; the first stage for the store, its own work included. */
  readonly waitingForInputMs: number;
  /** Nobody asked it for more; the last stage waited for whoever takes what it gives, its own work included. */
  readonly waitingForOutputMs: number;
  /** What came out of it, as far as its items say: bytes, rows, and rows that are known to be faulty. */
  readonly bytes: number;
  readonly rows: number;
  readonly faults: number;
}

export interface StageReport {
  /** Milliseconds since the clock was made. */
  readonly elapsedMs: number;
  /** CPU time of this thread in the meantime, in milliseconds. */
  readonly threadCpuMs: number;
  /** In the data's order, without those that nothing passed. */
  readonly stages: readonly StageTime[];
}

/** Measures where the time goes on the data's way: what comes out of each stage passes through `meter`. */
export interface StageClock {
  /** The stream as it is; the time in which its reader waits for it is counted. Streams of one stage count together. */
  meter<T>(stage: string, source: AsyncIterable<T>): AsyncIterable<T>;
  /** The stream as it is; what passes is counted, and no time: of a stage whose items its reader has yet to read. */
  count<T>(stage: string, source: AsyncIterable<T>): AsyncIterable<T>;
  /** What a stage needs before its first item: the time counts as if a reader waited for that. */
  time<T>(stage: string, work: () => Promise<T>): Promise<T>;
  /** Undefined where nothing is measured. */
  report(): StageReport | undefined;
}

/** Measures nothing and costs nothing: the streams are handed on as they are. */
export const STOPPED_CLOCK: StageClock = {
  meter: (_stage, source) => source,
  count: (_stage, source) => source,
  time: (_stage, work) => work(),
  report: () => undefined,
};

interface Wait {
  /** Milliseconds in which at least one reader waited. */
  total: number;
  pending: number;
  since: number;
  isTimed: boolean;
  bytes: number;
  rows: number;
  faults: number;
}

/** What says how much an item is. */
interface Counted {
  readonly rows?: unknown;
  readonly faults?: unknown;
  readonly body?: unknown;
  readonly byteLength?: unknown;
}

/** Counts what passes: chunks of bytes, blocks, batches and slices each say their size in their own way. */
function count(wait: Wait, item: unknown): void {
  if (item instanceof Uint8Array) {
    wait.bytes += item.byteLength;
    return;
  }
  if (typeof item !== "object" || item === null) return;
  const { rows, faults, body, byteLength }: Counted = item;
  if (typeof rows === "number") wait.rows += rows;
  if (Array.isArray(faults)) wait.faults += faults.length;
  if (body instanceof Uint8Array) wait.bytes += body.byteLength;
  else if (typeof byteLength === "number") wait.bytes += byteLength;
}

/**
 * Creates a clock for the stages named, in the data's order. The last one is the reader of all: nothing of it is
 * metered, it is waiting for output whenever it does not wait for input. Readers that wait for one stage side by side
 * are counted once, so that no stage has more time than there was.
 */
export function createStageClock(
  stages: readonly string[],
  now: () => number = () => performance.now(),
): StageClock {
  const began = now();
  const cpu = process.threadCpuUsage();
  const waits = new Map<string, Wait>();

  const waitFor = (stage: string): Wait => {
    const known = waits.get(stage);
    if (known !== undefined) return known;
    if (!stages.includes(stage)) throw new RangeError(`there is no stage ${stage}`);
    const made = {
      ...{ total: 0, pending: 0, since: 0, isTimed: false },
      ...{ bytes: 0, rows: 0, faults: 0 },
    };
    waits.set(stage, made);
    return made;
  };
  /** A reader may ask while it still waits: what is pending now has to count as well. */
  const waited = (stage: string): number => {
    const { total, pending, since } = waitFor(stage);
    return pending > 0 ? total + now() - since : total;
  };

  const timed = async <T>(wait: Wait, work: () => Promise<T>): Promise<T> => {
    wait.isTimed = true;
    if (wait.pending++ === 0) wait.since = now();
    try {
      return await work();
    } finally {
      if (--wait.pending === 0) wait.total += now() - wait.since;
    }
  };

  return {
    async *meter(stage, source) {
      const wait = waitFor(stage);
      const iterator = source[Symbol.asyncIterator]();
      try {
        for (;;) {
          const next = await timed(wait, () => iterator.next());
          if (next.done) return;
          count(wait, next.value);
          yield next.value;
        }
      } finally {
        await iterator.return?.();
      }
    },
    async *count(stage, source) {
      const wait = waitFor(stage);
      for await (const item of source) {
        count(wait, item);
        yield item;
      }
    },
    time: async (stage, work) => await timed(waitFor(stage), work),
    report() {
      const elapsedMs = now() - began;
      const used = process.threadCpuUsage(cpu);
      const last = stages.at(-1);
      const passed = stages.filter((stage) => waits.has(stage) || stage === last);
      return {
        elapsedMs,
        threadCpuMs: (used.user + used.system) / 1000,
        stages: passed.map((stage, at) => {
          const before = passed.slice(0, at).findLast((each) => waits.get(each)?.isTimed);
          const asked = stage === last ? elapsedMs : waited(stage);
          const input = before === undefined ? asked : Math.min(asked, waited(before));
          const isLast = stage === last;
          const { bytes, rows, faults } = waitFor(stage);
          return {
            ...{ stage, bytes, rows, faults },
            busyMs: isLast ? 0 : asked - input,
            waitingForInputMs: input,
            waitingForOutputMs: isLast ? elapsedMs - input : elapsedMs - asked,
          };
        }),
      };
    },
  };
}
