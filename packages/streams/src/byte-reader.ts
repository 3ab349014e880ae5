/** Reads a stream by counted bytes and by whole chunks in turn: headers by count, bodies by chunk. */
export interface ByteReader {
  /** Bytes taken so far, those that were put back not counted. */
  readonly offset: number;
  /** The next chunk, never empty; undefined at the end. */
  chunk(): Promise<Uint8Array | undefined>;
  /** `length` bytes, or fewer when the stream ends before. */
  take(length: number): Promise<Uint8Array>;
  /** Puts bytes back in front of what comes next. */
  putBack(bytes: Uint8Array): void;
  /** Closes the source. */
  close(): Promise<void>;
}

/** Creates a reader that pulls `source` only when it is asked for bytes that it does not hold. */
export function createByteReader(source: AsyncIterable<Uint8Array>): ByteReader {
  const iterator = source[Symbol.asyncIterator]();
  let held: Uint8Array | undefined;
  let offset = 0;

  const chunk = async (): Promise<Uint8Array | undefined> => {
    let next = held;
    held = undefined;
    while (next === undefined || next.byteLength === 0) {
      const { done, value } = await iterator.next();
      if (done) return undefined;
      next = value;
    }
    offset += next.byteLength;
    return next;
  };

  const putBack = (bytes: Uint8Array): void => {
    offset -= bytes.byteLength;
    held = held === undefined ? bytes : Buffer.concat([bytes, held]);
  };

  return {
    get offset() {
      return offset;
    },
    chunk,
    putBack,
    async take(length) {
      const parts: Uint8Array[] = [];
      let taken = 0;
      while (taken < length) {
        const next = await chunk();
        if (next === undefined) break;
        const part = next.subarray(0, length - taken);
        if (part.byteLength < next.byteLength) putBack(next.subarray(part.byteLength));
        parts.push(part);
        taken += part.byteLength;
      }
      return parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts);
    },
    async close() {
      await iterator.return?.();
    },
  };
}
