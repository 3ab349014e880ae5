import { uninitialised } from "../blocks/uninitialised.ts";
import { NUL } from "./scan.ts";

/**
 * The part of the entry that is being looked at: bytes that are not yet consumed, in one piece, and one
 * NUL behind them, at which every scan stops by itself.
 */
export interface Window {
  bytes: Uint8Array;
  /** First byte that is not yet consumed. */
  start: number;
  /** Position behind the last byte; `bytes[end]` is the NUL. */
  end: number;
  /** Position of `bytes[0]` in the entry. */
  base: number;
  /** Whether nothing comes behind the window. */
  isLast: boolean;
}

/** A source as a window that is filled on demand. */
export interface Reader {
  readonly window: Window;
  /**
   * Adds at least one byte, or learns that there is none. An error of the source is thrown when all
   * bytes that came before it were looked at.
   */
  more(): Promise<void>;
  /** Closes the source; again does nothing. */
  close(): Promise<void>;
}

/** Large chunks are taken in pieces, so that what is scanned is still in the processor's cache. */
const PIECE_BYTES = 1 << 18;

/** `maxCarryBytes`: more than this is never gathered before the window is looked at again. */
export function createReader(source: AsyncIterable<Uint8Array>, maxCarryBytes: number): Reader {
  const iterator = source[Symbol.asyncIterator]();
  const bytes = uninitialised(1 << 16);
  bytes[0] = NUL;
  const window: Window = { bytes, start: 0, end: 0, base: 0, isLast: false };
  let chunk: Uint8Array = new Uint8Array(0);
  let taken = 0;
  let isClosed = false;
  let failure: { readonly error: unknown } | undefined;

  return {
    window,
    async more() {
      if (failure !== undefined) throw failure.error;
      // Twice what is there: a record over many chunks is scanned anew a number of times that grows
      // with the logarithm of its length only.
      const carry = window.end - window.start;
      const wanted = Math.min(Math.max(1, carry * 2), Math.max(carry + 1, maxCarryBytes + 2));
      while (window.end - window.start < wanted) {
        if (taken === chunk.byteLength) {
          let next: IteratorResult<Uint8Array>;
          try {
            next = await iterator.next();
          } catch (error) {
            isClosed = true;
            if (window.end - window.start === carry) throw error;
            failure = { error };
            return;
          }
          if (next.done) {
            isClosed = true;
            window.isLast = true;
            return;
          }
          chunk = next.value;
          taken = 0;
        }
        const piece = chunk.subarray(taken, taken + PIECE_BYTES);
        taken += piece.byteLength;
        append(window, piece);
      }
    },
    async close() {
      if (isClosed) return;
      isClosed = true;
      await iterator.return?.();
    },
  };
}

/** Puts a chunk behind the bytes that are left, which move to the front. */
function append(window: Window, chunk: Uint8Array): void {
  const { start, end } = window;
  const left = end - start;
  const needed = left + chunk.byteLength + 1;
  if (needed > window.bytes.length) {
    const grown = uninitialised(2 ** Math.ceil(Math.log2(needed)));
    grown.set(window.bytes.subarray(start, end));
    window.bytes = grown;
  } else {
    window.bytes.copyWithin(0, start, end);
  }
  window.base += start;
  window.start = 0;
  window.bytes.set(chunk, left);
  window.end = left + chunk.byteLength;
  window.bytes[window.end] = NUL;
}
