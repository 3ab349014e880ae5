import { append, createWindow, type Window } from "./window.ts";

/** A source as a window that is filled on demand. */
export interface Reader {
  readonly window: Window;
  /** Whether nothing comes behind the window. */
  readonly isLast: boolean;
  /**
   * Fills up: what was not consumed is too little to go on with. An error of the source is thrown once all
   * that it gave before was looked at.
   */
  more(): Promise<void>;
  /** The error that the source threw, if it did: its coordinates are the file's already. */
  readonly failure: unknown;
  /** Closes the source; again does nothing. */
  close(): Promise<void>;
}

/** Large chunks are taken in pieces, so that what is scanned is still in the processor's cache. */
const PIECE_BYTES = 1 << 18;

/**
 * `maxCarryBytes`: more than this is never gathered before the window is looked at again.
 * `onDrop` is called before bytes leave the window.
 */
export function createReader(
  source: AsyncIterable<Uint8Array>,
  maxCarryBytes: number,
  onDrop: (window: Window) => void,
): Reader {
  const iterator = source[Symbol.asyncIterator]();
  const window = createWindow();
  let chunk: Uint8Array = new Uint8Array(0);
  let taken = 0;
  let isLast = false;
  let closed = false;
  let failure: unknown;

  return {
    window,
    get isLast() {
      return isLast;
    },
    get failure() {
      return failure;
    },
    async more() {
      if (failure !== undefined) throw failure;
      onDrop(window);
      // Twice what is there: a record over many chunks is scanned anew a number of times that grows
      // with the logarithm of its length only.
      const carry = window.end - window.start;
      const wanted = Math.min(Math.max(1, carry * 2), maxCarryBytes + 2);
      let hasGrown = false;
      do {
        if (taken === chunk.byteLength) {
          const next = await iterator.next().catch((error: unknown) => {
            failure = error;
          });
          if (next === undefined) {
            if (hasGrown) return;
            throw failure;
          }
          if (next.done) {
            isLast = true;
            closed = true;
            return;
          }
          chunk = next.value;
          taken = 0;
        }
        const piece = chunk.subarray(taken, taken + PIECE_BYTES);
        taken += piece.byteLength;
        append(window, piece);
        hasGrown ||= piece.byteLength > 0;
      } while (window.end - window.start < wanted);
    },
    async close() {
      if (closed) return;
      closed = true;
      await iterator.return?.();
    },
  };
}
