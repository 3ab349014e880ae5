import { createDecipheriv } from "node:crypto";

/** Ciphers whose CFB mode OpenSSL has, by openpgp.js's names, with the bytes of a block. */
const CFB: Readonly<Record<string, readonly [name: string, blockBytes: number]>> = {
  aes128: ["aes-128-cfb", 16],
  aes192: ["aes-192-cfb", 16],
  aes256: ["aes-256-cfb", 16],
  tripledes: ["des-ede3-cfb", 8],
};

/**
 * Whether a session key fits a SEIPD 1 packet, told from the two octets that its random prefix
 * repeats (RFC 9580, 5.13.1); undefined when the cipher is not at hand. `body` begins with the version.
 *
 * The answer must reach nobody for a session key from a public key (RFC 9580, 13.5); for one from a
 * passphrase it tells a wrong passphrase from a damaged message.
 */
export function prefixMatches(
  algorithm: string,
  key: Uint8Array,
  body: Uint8Array,
): boolean | undefined {
  const cipher = CFB[algorithm];
  if (cipher === undefined) return undefined;
  const [name, blockBytes] = cipher;
  const decipher = createDecipheriv(name, key, new Uint8Array(blockBytes));
  const prefix = decipher.update(body.subarray(1, 1 + blockBytes + 2));
  return (
    prefix.byteLength === blockBytes + 2 &&
    prefix[blockBytes - 2] === prefix[blockBytes] &&
    prefix[blockBytes - 1] === prefix[blockBytes + 1]
  );
}
