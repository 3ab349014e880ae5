/** A stream under construction: parts that it owns, in one array, and views on what others hold. */
export interface Stream {
  /** The next `bytes` bytes of the stream and its padding, as zeros to be written. They begin at a multiple of 8 in their buffer. */
  place(bytes: number): Uint8Array;
  /** The next bytes of the stream, without padding: as they are. */
  show(bytes: Uint8Array): void;
  /** The next bytes of the stream, without padding: copied. */
  copy(bytes: Uint8Array): void;
  /** Pads what was shown and copied, `bytes` in all. */
  pad(bytes: number): void;
  /** The stream in pieces. */
  end(): Uint8Array[];
}

/** The multiple of 8 that `bytes` fit into. */
export function pad(bytes: number): number {
  return Math.ceil(bytes / 8) * 8;
}

/** A stream that owns `ownBytes`, padding included, and in which things are shown at most `showings` times between two places. */
export function createStream(ownBytes: number, showings: number): Stream {
  const own = new Uint8Array(ownBytes + showings * 8);
  const pieces: Uint8Array[] = [];
  /** What of `own` is not among the pieces yet. */
  let from = 0;
  let to = 0;
  const flush = (): void => {
    if (to > from) pieces.push(own.subarray(from, to));
    from = to;
  };
  return {
    place(bytes) {
      const at = to;
      to += pad(bytes);
      return own.subarray(at, at + bytes);
    },
    show(bytes) {
      flush();
      pieces.push(bytes);
    },
    copy(bytes) {
      own.set(bytes, to);
      to += bytes.length;
    },
    pad(bytes) {
      to += pad(bytes) - bytes;
      if (to % 8 === 0) return;
      // Not of the stream: what is placed next is read by words.
      flush();
      to = pad(to);
      from = to;
    },
    end() {
      flush();
      return pieces;
    },
  };
}
