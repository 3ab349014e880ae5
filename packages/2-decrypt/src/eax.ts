import { createCipheriv, createDecipheriv, timingSafeEqual } from "node:crypto";

const BLOCK_BYTES = 16;
const ZERO = new Uint8Array(BLOCK_BYTES);

/** A block times x in the field of 2^128 elements (NIST SP 800-38B, 6.1). */
function doubled(block: Uint8Array): Buffer {
  const result = Buffer.alloc(BLOCK_BYTES);
  for (let i = 0; i < BLOCK_BYTES; i++) {
    result[i] = ((block[i] ?? 0) << 1) | ((block[i + 1] ?? 0) >> 7);
  }
  if ((block[0] ?? 0) & 0x80) result.writeUInt8(result.readUInt8(15) ^ 0x87, 15);
  return result;
}

function exclusiveOr(a: Uint8Array, b: Uint8Array): Buffer {
  return Buffer.from(a.map((byte, i) => byte ^ (b[i] ?? 0)));
}

/** CMAC (NIST SP 800-38B) of a block that holds `tweak`, followed by `message`: EAX's OMAC. */
function omac(bits: number, key: Uint8Array, tweak: number, message: Uint8Array): Buffer {
  const start = Buffer.alloc(BLOCK_BYTES);
  start[BLOCK_BYTES - 1] = tweak;
  const lastBytes = message.byteLength === 0 ? 0 : ((message.byteLength - 1) % BLOCK_BYTES) + 1;
  const last = message.subarray(message.byteLength - lastBytes);
  const once = doubled(createCipheriv(`aes-${bits}-ecb`, key, null).update(ZERO));
  const cbc = createCipheriv(`aes-${bits}-cbc`, key, ZERO).setAutoPadding(false);
  // Without a message, the block of the tweak is the last one.
  if (lastBytes === 0) return cbc.update(exclusiveOr(start, once));
  cbc.update(start);
  cbc.update(message.subarray(0, message.byteLength - lastBytes));
  if (lastBytes === BLOCK_BYTES) return cbc.update(exclusiveOr(last, once));
  const padded = Buffer.alloc(BLOCK_BYTES);
  padded.set(last);
  padded[lastBytes] = 0x80;
  return cbc.update(exclusiveOr(padded, doubled(once)));
}

/**
 * Opens one piece of AES in EAX mode (Bellare, Rogaway, Wagner 2004), which OpenSSL does not have.
 * The tag is judged before anything is decrypted; undefined when it is wrong.
 */
export function openEax(
  key: Uint8Array,
  nonce: Uint8Array,
  associated: Uint8Array,
  encrypted: Uint8Array,
  tag: Uint8Array,
): Buffer | undefined {
  const bits = key.byteLength * 8;
  const counter = omac(bits, key, 0, nonce);
  const expected = exclusiveOr(
    exclusiveOr(counter, omac(bits, key, 1, associated)),
    omac(bits, key, 2, encrypted),
  );
  if (tag.byteLength !== BLOCK_BYTES || !timingSafeEqual(expected, tag)) return undefined;
  return createDecipheriv(`aes-${bits}-ctr`, key, counter).update(encrypted);
}
