import type { MemoryPart } from "@sluice/streams";
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
  /** Bytes that are held beside the input: what its bytes become. Whoever makes that sets it. */
  beside: () => number;
  /** Holds what there is now, with `more` bytes that are about to be made of it. */
  hold(more: number): Promise<void>;
  /** Waits until `length` bytes stand from `at` on; false when the source ends before. */
  fill(length: number): Promise<boolean>;
  /** Closes the source; again does nothing. */
  close(): Promise<void>;
}

export function createInput(source: AsyncIterable<Uint8Array>, memory: MemoryPart): Input {
  const iterator = source[Symbol.asyncIterator]();
  let bytes: Uint8Array = new Uint8Array(0);
  let end = 0;
  let base = 0;
  // A chunk is looked at where it is; only what goes over its end is copied, to memory of our own.
  let isOwn = false;
  let isClosed = false;

  /** Twice what is there, never what a length in the file promises; both are held while one is copied. */
  const grownBy = (chunk: Uint8Array): number => {
    const needed = end - input.at + chunk.byteLength;
    return isOwn && needed <= bytes.length ? 0 : needed * 2;
  };

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
    beside: () => 0,
    get bytes() {
      return bytes;
    },
    get end() {
      return end;
    },
    get base() {
      return base;
    },
    hold: async (more) => await memory.hold(bytes.length + more + input.beside()),
    async fill(length) {
      while (end - input.at < length) {
        const next = await iterator.next();
        if (next.done) {
          isClosed = true;
          return false;
        }
        await input.hold(grownBy(next.value));
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
