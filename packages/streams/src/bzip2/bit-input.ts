import type { ByteReader } from "../byte-reader.ts";

/** Reads bits, the highest of each byte first, from a stream whose chunks come when they come. */
export interface BitInput {
  /** Bits read so far. */
  readonly position: number;
  /** Waits until at least `bytes` more are held, or the stream has ended. */
  fill(bytes: number): Promise<void>;
  /** Whether `bytes` more are held already. */
  has(bytes: number): boolean;
  /** The next 1 to 24 bits. Past the stream's end they are zeros: ask `isPastEnd`. */
  bits(count: number): number;
  /** The same without taking them. */
  peek(count: number): number;
  skip(count: number): void;
  /** Whether more bits were read than there were. */
  readonly isPastEnd: boolean;
  /** Leaves the rest of the last byte, and gives the bytes behind it back to the reader. */
  giveBack(): void;
}

/** Creates the bits of what comes next from `reader`. */
export function createBitInput(reader: ByteReader): BitInput {
  let bytes: Uint8Array = new Uint8Array(0);
  /** Of `bytes`, in bits. */
  let at = 0;
  let before = 0;
  let hasEnded = false;

  const held = (): number => bytes.byteLength - (at >>> 3);
  const peek = (count: number): number => {
    const byte = at >>> 3;
    const word =
      (((bytes[byte] ?? 0) << 24) |
        ((bytes[byte + 1] ?? 0) << 16) |
        ((bytes[byte + 2] ?? 0) << 8) |
        (bytes[byte + 3] ?? 0)) <<
      (at & 7);
    return word >>> (32 - count);
  };
  return {
    get position() {
      return before * 8 + at;
    },
    get isPastEnd() {
      return at > bytes.byteLength * 8;
    },
    has: (count) => hasEnded || held() >= count,
    async fill(count) {
      while (!hasEnded && held() < count) {
        const chunk = await reader.chunk();
        if (chunk === undefined) {
          hasEnded = true;
          return;
        }
        const used = Math.min(at >>> 3, bytes.byteLength);
        bytes = used === bytes.byteLength ? chunk : Buffer.concat([bytes.subarray(used), chunk]);
        before += used;
        at -= used * 8;
      }
    },
    bits(count) {
      const value = peek(count);
      at += count;
      return value;
    },
    peek,
    skip(count) {
      at += count;
    },
    giveBack() {
      const used = Math.min((at + 7) >>> 3, bytes.byteLength);
      if (used < bytes.byteLength) reader.putBack(bytes.subarray(used));
      before += used;
      bytes = new Uint8Array(0);
      at = 0;
    },
  };
}
