import { freePassed, type MemoryPart } from "@sluice/streams";
import { append, createWindow, sizeFor, type Window } from "./window.ts";

/** A source as a window that is filled on demand. */
export interface Reader {
  readonly window: Window;
  /** Bytes that are held beside the window: what its bytes become. Whoever makes that sets it. */
  beside: () => number;
  /**
   * Adds at least one byte, or learns that there is none. An error of the source is thrown when all
   * bytes that came before it were looked at.
   */
  more(): Promise<void>;
  /** The error that the source threw, if it did: its coordinates are the file's already. */
  readonly failure: unknown;
  /** Closes the source; again does nothing. */
  close(): Promise<void>;
}

export interface ReaderOptions {
  /** The byte behind the window. */
  readonly sentinel: number;
  /** More than this is never gathered before the window is looked at again. */
  readonly maxCarryBytes: number;
  /** Called before bytes leave the window. */
  readonly onDrop?: (window: Window) => void;
  /** Holds the window, and what `beside` counts, before it grows. */
  readonly memory: MemoryPart;
}

/** Large chunks are taken in pieces, so that what is scanned is still in the processor's cache. */
const PIECE_BYTES = 1 << 18;

export function createReader(source: AsyncIterable<Uint8Array>, options: ReaderOptions): Reader {
  const { sentinel, maxCarryBytes, onDrop, memory } = options;
  const iterator = source[Symbol.asyncIterator]();
  const window = createWindow(sentinel);
  let chunk: Uint8Array = new Uint8Array(0);
  let taken = 0;
  let isClosed = false;
  let failure: { readonly error: unknown } | undefined;

  /** A window that grows is held twice while it is copied. */
  const hold = async (length: number): Promise<void> => {
    const size = sizeFor(window, length);
    const copied = size > window.bytes.length ? window.bytes.length : 0;
    await memory.hold(size + copied + reader.beside());
  };

  const reader: Reader = {
    window,
    beside: () => 0,
    get failure() {
      return failure?.error;
    },
    async more() {
      if (failure !== undefined) throw failure.error;
      onDrop?.(window);
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
            failure = { error };
            if (window.end - window.start === carry) throw error;
            return;
          }
          if (next.done) {
            isClosed = true;
            window.isLast = true;
            return;
          }
          freePassed(chunk);
          chunk = next.value;
          taken = 0;
        }
        const piece = chunk.subarray(taken, taken + PIECE_BYTES);
        taken += piece.byteLength;
        await hold(piece.byteLength);
        append(window, piece);
      }
    },
    async close() {
      if (isClosed) return;
      isClosed = true;
      await iterator.return?.();
    },
  };
  return reader;
}
