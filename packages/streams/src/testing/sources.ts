/** The bytes in pieces of `size`, as a source that a stage may pull. */
export async function* chunked(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.byteLength; at += size) yield bytes.subarray(at, at + size);
}

/** What became of a source: whether it was read, and whether it was closed. */
export interface Probe<T> extends AsyncIterable<T> {
  readonly pulled: number;
  readonly closed: boolean;
}

/** Wraps a source and watches it. */
export function probe<T>(source: AsyncIterable<T>): Probe<T> {
  let pulled = 0;
  let closed = false;
  return {
    get pulled() {
      return pulled;
    },
    get closed() {
      return closed;
    },
    async *[Symbol.asyncIterator]() {
      try {
        for await (const item of source) {
          pulled++;
          yield item;
        }
      } finally {
        closed = true;
      }
    },
  };
}
