/** One thing that is held while a task goes on, and may grow: a parser's window, a codec's history, a decoder. */
export interface MemoryPart {
  /**
   * Says how many bytes it holds from now on, all in all. Waits until they are there; growing is asked for before it
   * happens. Rejects when a task may not hold so much.
   */
  hold(bytes: number): Promise<void>;
}

/** What one task holds while it works, besides the record batches that it sends. */
export interface WorkingMemory {
  /** Bytes that the task's parts may hold besides what they hold now. */
  readonly freeBytes: number;
  /** Those of them that nobody has to be asked for. */
  readonly spareBytes: number;
  /** Opens the account of one more thing; `refuse` makes the error of holding too much out of its message. */
  part(refuse: (message: string) => Error): MemoryPart;
}

/** For whoever works where nobody keeps account. */
export const UNCOUNTED: WorkingMemory = {
  freeBytes: Number.POSITIVE_INFINITY,
  spareBytes: Number.POSITIVE_INFINITY,
  part: () => ({ hold: async () => undefined }),
};
