import { StageError } from "@sluice/errors";
import type { PgpKeys } from "@sluice/schema";
import {
  createByteReader,
  type MemoryPart,
  type Transform,
  type WorkingMemory,
} from "@sluice/streams";
import type { PublicKey } from "openpgp";
import { derivationMemory } from "./argon2-memory.ts";
import { dearmor, isArmored } from "./armor.ts";
import { type Envelope, readEnvelope } from "./envelope.ts";
import { type DecryptLimits, limitsOf } from "./limits.ts";
import { openData } from "./open-data.ts";
import { openRare } from "./open-rare.ts";
import { type UnlockedKeys, unlockKeys } from "./private-keys.ts";
import { isCfbCipher } from "./seipd-1.ts";
import { type FoundSessionKey, findSessionKey } from "./session-key.ts";
import { readSignerKeys } from "./signer-keys.ts";

/** Every limit has a default; over a limit is `limit_exceeded`, with the option's name. */
export interface DecryptOptions extends Partial<DecryptLimits> {
  readonly keys: PgpKeys;
  /**
   * How long openpgp.js may stand still over a message in CAST5, Blowfish or Twofish while neither the
   * source nor the reader is waited for; then the message is damaged (`integrity_failed`). Default 10,000.
   */
  readonly stallTimeoutMs?: number;
  /** Holds what deriving keys from passphrases takes. Default: nobody keeps account. */
  readonly memory?: WorkingMemory;
}

const SNIFF_BYTES = 64;

interface Held {
  readonly keys: UnlockedKeys;
  readonly signers: readonly PublicKey[];
}

async function hold(keys: PgpKeys, limits: DecryptLimits, memory: MemoryPart): Promise<Held> {
  const signers = await readSignerKeys(keys.signerPublicKeys ?? []);
  return { signers, keys: await unlockKeys(keys, limits.maxArgon2MemoryExponent, memory) };
}

/**
 * Opens one OpenPGP message (RFC 9580, RFC 4880), armored or binary, and gives the bytes of its
 * literal data; the file name inside is ignored. When the keys name signers, the message must bear a
 * valid signature by one of them (`signature_invalid`); otherwise signatures are not looked at.
 *
 * The bytes of a message of the older kind (SEIPD version 1) come before its integrity check, which
 * stands at its end, and those of any message before its signature is judged: they may be put in
 * private staging only, until the iteration has ended without an error. The transform may be used for
 * any number of messages: its keys are unlocked once.
 *
 * Fails with the codes of the decrypt stage; the source's own errors pass through as they are. Throws
 * a RangeError at once for a limit that must not be.
 */
export function decrypt(options: DecryptOptions): Transform<Uint8Array, Uint8Array> {
  const limits = limitsOf(options);
  const { keys, stallTimeoutMs = 10_000 } = options;
  const memory = derivationMemory(options.memory);
  let holding: Promise<Held> | undefined;

  return async function* (source) {
    const file = createByteReader(source);
    try {
      holding ??= hold(keys, limits, memory);
      const held = await holding;
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
      const found = await findSessionKey(envelope, held.keys, limits, memory);
      yield* isRare(envelope, found)
        ? openRare(envelope, found, { ...limits, stallTimeoutMs }, held.signers)
        : openData(envelope, found.sessionKey, held.signers, limits);
    } finally {
      await file.close();
    }
  };
}

const isRare = ({ protection }: Envelope, { sessionKey }: FoundSessionKey): boolean =>
  protection === "seipd-1" && !isCfbCipher(sessionKey.algorithm);
