/** Thrown where more bits are wanted than there are: one object, because a damaged stream is nothing unusual. */
export const BitsEnded: Error = new Error("The bits end.");

/** Bits of bytes, the highest of each byte first. */
export interface BitReader {
  /** The byte whose bits come next, begun or not. */
  readonly byteOffset: number;
  /** Bits of that byte that are taken already. */
  readonly bitOffset: number;
  /** The first byte of which no bit is taken. */
  readonly endOffset: number;
  /** The next `count` bits, at most 24, as a number. */
  take(count: number): number;
}

export function createBitReader(bytes: Uint8Array, bitOffset = 0): BitReader {
  let at = 0;
  let held = 0;
  let heldBits = 0;
  const take = (count: number): number => {
    while (heldBits < count) {
      const byte = bytes[at];
      if (byte === undefined) throw BitsEnded;
      at++;
      held = (held << 8) | byte;
      heldBits += 8;
    }
    heldBits -= count;
    return (held >>> heldBits) & ((1 << count) - 1);
  };
  take(bitOffset);
  return {
    get byteOffset() {
      return at - Math.ceil(heldBits / 8);
    },
    get bitOffset() {
      return (8 - (heldBits % 8)) % 8;
    },
    get endOffset() {
      return at - Math.floor(heldBits / 8);
    },
    take,
  };
}
