import { createHash, randomBytes, timingSafeEqual } from "node:crypto";

/** An API key in its parts. */
export interface ParsedKey {
  /** By which its row is found; no secret. */
  readonly prefix: string;
  /** 256 random bits. */
  readonly secret: string;
}

/** What an API key looks like: `slk_`, twelve characters to find it by, and 32 bytes in base64url. */
const API_KEY = /^(slk_[a-z0-9]{12})_([A-Za-z0-9_-]{43})$/;
const ALPHABET = "abcdefghijklmnopqrstuvwxyz012345";

/** A new key, whole. */
export function makeApiKey(): string {
  const prefix = Array.from(randomBytes(12), (byte) => ALPHABET[byte & 31]).join("");
  return `slk_${prefix}_${randomBytes(32).toString("base64url")}`;
}

/** The parts of a key; undefined for what is none. */
export function parseApiKey(text: string): ParsedKey | undefined {
  const [, prefix, secret] = API_KEY.exec(text) ?? [];
  return prefix === undefined || secret === undefined ? undefined : { prefix, secret };
}

/** What is kept of a secret. It has 256 random bits: there is nothing that a slow hash would make harder. */
export function hashSecret(secret: string): Buffer {
  return createHash("sha256").update(secret, "utf8").digest();
}

/** Whether the secret is the one of the hash, in a time that tells nothing about where they differ. */
export function isSecretOf(hash: Uint8Array, secret: string): boolean {
  const seen = hashSecret(secret);
  return seen.length === hash.length && timingSafeEqual(seen, hash);
}
