import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";

/** The check of a block's content. */
export interface XzCheck {
  update(bytes: Uint8Array): void;
  digest(): Buffer;
}

/** Bytes of each check, by its number (xz file format 1.2.1, 2.1.1.2); the other numbers are reserved. */
const CHECK_BYTES = [0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64];

export const xzCheckBytes = (type: number): number => CHECK_BYTES[type] ?? 0;

/** How the checks that are known begin; a file with any other one is refused, never left unchecked. */
export const XZ_CHECKS: ReadonlyMap<number, () => XzCheck> = new Map([
  [0, () => ({ update: () => {}, digest: () => Buffer.alloc(0) })],
  [1, crc32Check],
  [4, crc64Check],
  [10, sha256Check],
]);

function crc32Check(): XzCheck {
  let crc = 0;
  return {
    update: (bytes) => {
      crc = crc32(bytes, crc);
    },
    digest: () => {
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32LE(crc);
      return bytes;
    },
  };
}

function sha256Check(): XzCheck {
  const hash = createHash("sha256");
  return {
    update: (bytes) => {
      hash.update(bytes);
    },
    digest: () => hash.digest(),
  };
}

/** CRC-64 of ECMA-182, reflected, as two halves of 32 bits: BigInt takes many times as long. */
function crc64Check(): XzCheck {
  let low = -1;
  let high = -1;
  return {
    update: (bytes) => {
      for (let i = 0; i < bytes.byteLength; i++) {
        const index = (low ^ (bytes[i] as number)) & 0xff;
        low = ((low >>> 8) | (high << 24)) ^ (LOW[index] as number);
        high = (high >>> 8) ^ (HIGH[index] as number);
      }
    },
    digest: () => {
      const bytes = Buffer.alloc(8);
      bytes.writeInt32LE(~low, 0);
      bytes.writeInt32LE(~high, 4);
      return bytes;
    },
  };
}

const LOW: Int32Array = new Int32Array(256);
const HIGH: Int32Array = new Int32Array(256);
for (let byte = 0; byte < 256; byte++) {
  let low = byte;
  let high = 0;
  for (let bit = 0; bit < 8; bit++) {
    const isOdd = (low & 1) === 1;
    low = (low >>> 1) | (high << 31);
    high >>>= 1;
    if (isOdd) {
      low ^= 0xd7870f42;
      high ^= 0xc96c5795;
    }
  }
  LOW[byte] = low;
  HIGH[byte] = high;
}
