import { uninitialised } from "../blocks/uninitialised.ts";

/** A source as bytes in one piece, filled on demand. `bytes` is not to be kept across `fill`. */
export interface Input {
  readonly bytes: Uint8Array;
  /** First byte that is not yet consumed: the reader moves it. */
  at: number;
  /** Position behind the last byte. */
  readonly end: number;
  /** Position of `bytes[0]` in the entry. */
  readonly base: number;
  /** Waits until `length` bytes stand from `at` on; false when the source ends before. */
  fill(length: number): Promise<boolean>;
  /** Closes the source; again does nothing. */
  close(): Promise<void>;
}

export function createInput(source: AsyncIterable<Uint8Array>): Input {
  const iterator = source[Symbol.asyncIterator]();
  let bytes: Uint8Array = new Uint8Array(0);
  let end = 0;
  let base = 0;
  // A chunk is looked at where it is; only what goes over its end is copied, to memory of our own.
  let isOwn = false;
  let isClosed = false;

  const append = (chunk: Uint8Array): void => {
    const left = end - input.at;
    const needed = left + chunk.byteLength;
    if (left === 0) {
      bytes = chunk;
      isOwn = false;
    } else if (isOwn && needed <= bytes.length) {
      bytes.copyWithin(0, input.at, end);
      bytes.set(chunk, left);
    } else {
      // Twice what is there, never what a length in the file promises.
      const grown = uninitialised(needed * 2);
      grown.set(bytes.subarray(input.at, end));
      grown.set(chunk, left);
      bytes = grown;
      isOwn = true;
    }
    base += input.at;
    input.at = 0;
    end = needed;
  };

  const input: Input = {
    at: 0,
    get bytes() {
      return bytes;
    },
    get end() {
      return end;
    },
    get base() {
      return base;
    },
    async fill(length) {
      while (end - input.at < length) {
        const next = await iterator.next();
        if (next.done) {
          isClosed = true;
          return false;
        }
        append(next.value);
      }
      return true;
    },
    async close() {
      if (isClosed) return;
      isClosed = true;
      await iterator.return?.();
    },
  };
  return input;
}
