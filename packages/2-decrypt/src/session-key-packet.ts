import type { SessionKeyPacket } from "./envelope.ts";
import { limitExceeded, unsupportedAlgorithm } from "./failures.ts";
import type { DecryptLimits } from "./limits.ts";

/** The key id of a recipient that is not named. */
export const WILDCARD = "0000000000000000";

const ITERATED = 3;
const ARGON2 = 4;
const MAX_ARGON2_PASSES = 16;

/** RFC 9580, 9.3; only those of the second list are decrypted. */
const CIPHERS: Readonly<Record<number, string>> = {
  1: "IDEA",
  2: "TripleDES",
  3: "CAST5",
  4: "Blowfish",
  7: "AES-128",
  8: "AES-192",
  9: "AES-256",
  10: "Twofish",
  11: "Camellia-128",
  12: "Camellia-192",
  13: "Camellia-256",
};
const SUPPORTED_CIPHERS: readonly number[] = [2, 3, 4, 7, 8, 9, 10];
/** RSA, Elgamal, ECDH, X25519 and X448 (RFC 9580, 9.1). */
const SUPPORTED_PUBLIC_KEY: readonly number[] = [1, 2, 3, 16, 18, 25, 26];
/** EAX, OCB and GCM (RFC 9580, 9.6). */
const SUPPORTED_AEAD: readonly number[] = [1, 2, 3];

/** Whom a public-key packet is for (RFC 9580, 5.1). */
export interface Recipient {
  /** 16 upper-case hexadecimal digits; all zeros for a hidden recipient. */
  readonly keyId: string;
  readonly algorithm: number;
}

export function recipientOf({ body }: SessionKeyPacket): Recipient {
  const hex = (from: number, to: number): string =>
    Buffer.from(body.subarray(from, to)).toString("hex").toUpperCase();
  if (body[0] !== 6) return { keyId: hex(1, 9), algorithm: body[9] ?? 0 };
  const length = body[1] ?? 0;
  const algorithm = body[2 + length] ?? 0;
  if (length === 0) return { keyId: WILDCARD, algorithm };
  // A version 4 key's id is the end of its fingerprint, a version 6 key's the beginning.
  const keyId = body[2] === 4 ? hex(2 + length - 8, 2 + length) : hex(3, 11);
  return { keyId, algorithm };
}

export function assertPublicKeyAlgorithm(algorithm: number): void {
  if (SUPPORTED_PUBLIC_KEY.includes(algorithm)) return;
  throw unsupportedAlgorithm(`Public-key algorithm ${algorithm}`);
}

function assertCipher(cipher: number): void {
  if (SUPPORTED_CIPHERS.includes(cipher)) return;
  throw unsupportedAlgorithm(`The cipher ${CIPHERS[cipher] ?? cipher}`);
}

function assertAead(mode: number): void {
  if (SUPPORTED_AEAD.includes(mode)) return;
  throw unsupportedAlgorithm(`Authenticated encryption mode ${mode}`);
}

/**
 * Throws when a passphrase packet (RFC 9580, 5.3) is not supported, or would take too much memory or time. Gives the
 * logarithm of the KiB that Argon2 fills, if it is that which derives the key.
 */
export function assertPassphrasePacket(
  { body }: SessionKeyPacket,
  limits: DecryptLimits,
): number | undefined {
  const { maxArgon2MemoryExponent, maxS2kIterationCount } = limits;
  const [version = 0] = body;
  const cipherAt = version === 6 ? 2 : 1;
  const s2kAt = version === 4 ? 2 : version === 5 ? 3 : 5;
  assertCipher(body[cipherAt] ?? 0);
  if (version !== 4) assertAead(body[cipherAt + 1] ?? 0);
  const kind = body[s2kAt] ?? 0;
  if (![0, 1, ITERATED, ARGON2].includes(kind)) {
    throw unsupportedAlgorithm(`Passphrase derivation ${kind}`);
  }
  if (kind === ITERATED) {
    const octet = body[s2kAt + 10] ?? 0;
    const count = (16 + (octet & 15)) * 2 ** ((octet >> 4) + 6);
    if (count > maxS2kIterationCount) {
      throw limitExceeded(
        `The passphrase's derivation wants to hash ${count} bytes; maxS2kIterationCount = ${maxS2kIterationCount}.`,
      );
    }
  }
  if (kind !== ARGON2) return undefined;
  const [passes = 0, , memoryExponent = 0] = body.subarray(s2kAt + 1 + 16);
  if (memoryExponent > maxArgon2MemoryExponent || passes > MAX_ARGON2_PASSES) {
    throw limitExceeded(
      `The passphrase's derivation wants 2^${memoryExponent} KiB and ${passes} passes; ` +
        `maxArgon2MemoryExponent = ${maxArgon2MemoryExponent}, and at most ${MAX_ARGON2_PASSES} passes.`,
    );
  }
  return memoryExponent;
}
