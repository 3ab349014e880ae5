import { StageError } from "@sluice/errors";
import type { PgpKeys } from "@sluice/schema";
import { createByteReader, type Transform } from "@sluice/streams";
import { dearmor, isArmored } from "./armor.ts";
import { readEnvelope } from "./envelope.ts";
import { openData } from "./open-data.ts";
import { DEFAULT_ARGON2_MEMORY_EXPONENT, type UnlockedKeys, unlockKeys } from "./private-keys.ts";
import { findSessionKey } from "./session-key.ts";

export interface DecryptOptions {
  readonly keys: PgpKeys;
  /** Bytes that may come out of one message. Default 1 TiB; more is `limit_exceeded`. */
  readonly maxOutputBytes?: number;
  /** Recipients, passphrases included, that a message may name. Default 256. */
  readonly maxRecipients?: number;
  /** Logarithm of the KiB that deriving a key from a passphrase may take. Default 18, which is 256 MiB. */
  readonly maxArgon2MemoryExponent?: number;
  /**
   * How long decrypting may stand still while neither the source nor the reader is waited for; then
   * the message is damaged (`integrity_failed`). Default 10,000.
   */
  readonly stallTimeoutMs?: number;
}

const SNIFF_BYTES = 64;

/**
 * Opens one OpenPGP message (RFC 9580, RFC 4880), armored or binary, and gives the bytes of its
 * literal data; the file name inside is ignored, a signature is not looked at.
 *
 * The bytes of a message of the older kind (SEIPD version 1) come before its integrity check, which
 * stands at its end: they may be put in private staging only, until the iteration has ended without
 * an error. The transform may be used for any number of messages: its keys are unlocked once.
 *
 * Fails with the codes of the decrypt stage; the source's own errors pass through as they are.
 */
export function decrypt(options: DecryptOptions): Transform<Uint8Array, Uint8Array> {
  const limits = {
    maxOutputBytes: options.maxOutputBytes ?? 2 ** 40,
    maxRecipients: options.maxRecipients ?? 256,
    maxArgon2MemoryExponent: options.maxArgon2MemoryExponent ?? DEFAULT_ARGON2_MEMORY_EXPONENT,
    stallTimeoutMs: options.stallTimeoutMs ?? 10_000,
  };
  let unlocking: Promise<UnlockedKeys> | undefined;

  return async function* (source) {
    const file = createByteReader(source);
    try {
      unlocking ??= unlockKeys(options.keys, limits.maxArgon2MemoryExponent);
      const keys = await unlocking;
      const head = await file.take(SNIFF_BYTES);
      file.putBack(head);
      const message = isArmored(head) ? createByteReader(dearmor(file)) : file;
      const envelope = await readEnvelope(message, limits);
      if (envelope.protection === "none") {
        throw new StageError(
          "decrypt",
          "no_integrity_protection",
          "The message is encrypted without integrity protection, as old tools do.",
        );
      }
      yield* openData(envelope, await findSessionKey(envelope, keys, limits), limits);
    } finally {
      await file.close();
    }
  };
}
