import { createDecipheriv, createHash, timingSafeEqual } from "node:crypto";
import { integrityFailed } from "./failures.ts";

/** Ciphers whose CFB mode OpenSSL has, by openpgp.js's names. */
const CFB: Readonly<Record<string, { readonly name: string; readonly blockBytes: number }>> = {
  aes128: { name: "aes-128-cfb", blockBytes: 16 },
  aes192: { name: "aes-192-cfb", blockBytes: 16 },
  aes256: { name: "aes-256-cfb", blockBytes: 16 },
  tripledes: { name: "des-ede3-cfb", blockBytes: 8 },
};

/** Whether OpenSSL has the cipher; openpgp.js has the others (CAST5, Blowfish, Twofish). */
export function isCfbCipher(algorithm: string): boolean {
  return CFB[algorithm] !== undefined;
}

export interface SymmetricKey {
  /** openpgp.js's name of the cipher. */
  readonly algorithm: string;
  readonly data: Uint8Array;
}

const cfb = ({ algorithm, data }: SymmetricKey) => {
  const cipher = CFB[algorithm];
  if (cipher === undefined) return undefined;
  const { name, blockBytes } = cipher;
  return { blockBytes, decipher: createDecipheriv(name, data, new Uint8Array(blockBytes)) };
};

/**
 * Whether a session key fits a SEIPD 1 packet, told from the two octets that its random prefix
 * repeats (RFC 9580, 5.13.1); undefined when the cipher is not at hand. `body` begins with the version.
 *
 * The answer must reach nobody for a session key from a public key (RFC 9580, 13.5); for one from a
 * passphrase it tells a wrong passphrase from a damaged message.
 */
export function prefixMatches(key: SymmetricKey, body: Uint8Array): boolean | undefined {
  const opened = cfb(key);
  if (opened === undefined) return undefined;
  const { blockBytes, decipher } = opened;
  const prefix = decipher.update(body.subarray(1, 1 + blockBytes + 2));
  return (
    prefix.byteLength === blockBytes + 2 &&
    prefix[blockBytes - 2] === prefix[blockBytes] &&
    prefix[blockBytes - 1] === prefix[blockBytes + 1]
  );
}

/** The modification detection packet: two octets of header and a SHA-1 hash. */
const MDC_BYTES = 22;

/**
 * Decrypts a SEIPD 1 packet's body (RFC 9580, 5.13.1), which begins with its version, and gives the
 * packets inside as they come. After the last of them the hash at the end is judged: until then,
 * nothing that was given is known to be what was encrypted. Throws `integrity_failed`; what a damaged
 * message decrypts to makes no difference to it.
 */
export async function* openHashed(
  body: AsyncIterable<Uint8Array>,
  key: SymmetricKey,
  offset: () => number,
): AsyncGenerator<Uint8Array> {
  const opened = cfb(key);
  if (opened === undefined) throw integrityFailed(offset());
  const { blockBytes, decipher } = opened;
  const hash = createHash("sha1");
  let versionBytes = 1;
  let prefixBytes = blockBytes + 2;
  let held: Uint8Array = new Uint8Array(0);
  for await (const chunk of body) {
    const encrypted = chunk.subarray(versionBytes);
    versionBytes = Math.max(0, versionBytes - chunk.byteLength);
    let plain: Uint8Array = decipher.update(encrypted);
    if (prefixBytes > 0) {
      const prefix = plain.subarray(0, prefixBytes);
      hash.update(prefix);
      prefixBytes -= prefix.byteLength;
      plain = plain.subarray(prefix.byteLength);
    }
    // The packet's end may be anywhere: what could be the hash is held back.
    if (plain.byteLength < MDC_BYTES) {
      const joined = Buffer.concat([held, plain]);
      const free = Math.max(0, joined.byteLength - MDC_BYTES);
      hash.update(joined.subarray(0, free));
      if (free > 0) yield joined.subarray(0, free);
      held = joined.subarray(free);
      continue;
    }
    const free = plain.subarray(0, -MDC_BYTES);
    hash.update(held).update(free);
    if (held.byteLength > 0) yield held;
    held = Uint8Array.from(plain.subarray(-MDC_BYTES));
    if (free.byteLength > 0) yield free;
  }
  const digest = hash.update(held.subarray(0, 2)).digest();
  const isWhole =
    prefixBytes === 0 &&
    held.byteLength === MDC_BYTES &&
    held[0] === 0xd3 &&
    held[1] === 0x14 &&
    timingSafeEqual(digest, held.subarray(2));
  if (!isWhole) throw integrityFailed(offset());
}
