/** The first bytes of a stream, and the whole stream, those bytes included. */
export interface Peeked {
  /** `length` bytes, or fewer when the stream is shorter. */
  readonly head: Uint8Array;
  readonly bytes: AsyncIterable<Uint8Array>;
  /** Closes the source when `bytes` will not be read. */
  close(): Promise<void>;
}

/** Reads the first `length` bytes without taking them away: to see what a stream is before opening it. */
export async function peek(source: AsyncIterable<Uint8Array>, length: number): Promise<Peeked> {
  const iterator = source[Symbol.asyncIterator]();
  const first: Uint8Array[] = [];
  let held = 0;
  while (held < length) {
    const next = await iterator.next();
    if (next.done) break;
    if (next.value.byteLength === 0) continue;
    first.push(next.value);
    held += next.value.byteLength;
  }
  const close = async (): Promise<void> => {
    await iterator.return?.();
  };
  async function* replay(): AsyncGenerator<Uint8Array> {
    try {
      for (let chunk = first.shift(); chunk !== undefined; chunk = first.shift()) yield chunk;
      for (let next = await iterator.next(); !next.done; next = await iterator.next()) {
        yield next.value;
      }
    } finally {
      await close();
    }
  }
  const joined = first.length === 1 && first[0] ? first[0] : Buffer.concat(first);
  // A copy: the chunks are their reader's, who may free them.
  return { head: Buffer.from(joined.subarray(0, length)), bytes: replay(), close };
}
