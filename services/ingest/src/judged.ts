/** A stream of plaintext whose integrity is only known at its end. */
export interface Judged {
  readonly bytes: AsyncIterable<Uint8Array>;
  /**
   * Reads what is left, so that the judgement falls. Rejects with the stream's own error when the
   * message was altered; resolves when it is whole.
   */
  judge(): Promise<void>;
  /** Closes the source without a judgement. */
  close(): Promise<void>;
}

/**
 * Keeps a stream open when its reader gives up. Whoever fails over plaintext that was not judged yet
 * must not say why before the judgement: an altered message would otherwise be an oracle. A reader
 * that stops leaves the rest to `judge`.
 */
export function judged(source: AsyncIterable<Uint8Array>): Judged {
  const iterator = source[Symbol.asyncIterator]();
  let failure: { readonly error: unknown } | undefined;
  const next = async (): Promise<IteratorResult<Uint8Array>> => {
    if (failure) throw failure.error;
    try {
      return await iterator.next();
    } catch (error) {
      failure = { error };
      throw error;
    }
  };
  return {
    bytes: {
      [Symbol.asyncIterator]: () => ({
        next,
        return: async () => ({ done: true, value: undefined }),
      }),
    },
    async judge() {
      while (!(await next()).done);
    },
    async close() {
      await iterator.return?.();
    },
  };
}
