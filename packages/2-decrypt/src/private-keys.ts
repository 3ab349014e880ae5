import { StageError } from "@sluice/errors";
import type { PgpKeys } from "@sluice/schema";
import type { MemoryPart } from "@sluice/streams";
import { config, decryptKey, type PrivateKey, readPrivateKeys } from "openpgp";
import { argon2Exponent, derivationMemory, holding } from "./argon2-memory.ts";
import { describeArmor } from "./describe-bytes.ts";
import { DEFAULT_LIMITS } from "./limits.ts";

/** What may be shown of a private key. */
export interface PrivateKeyFacts {
  /** Lower-case hexadecimal. */
  readonly fingerprint: string;
  /** Of the key and its subkeys, 16 upper-case hexadecimal digits each: what a message names its recipients by. */
  readonly keyIds: readonly string[];
  readonly userIds: readonly string[];
}

/** Private keys, unlocked once for any number of messages. */
export interface UnlockedKeys {
  readonly unlocked: readonly PrivateKey[];
  /** Keys that the passphrase does not open. */
  readonly locked: readonly PrivateKey[];
  readonly passphrase: string | undefined;
}

/** Key ids as people see them: upper-case hexadecimal. */
export function keyIdsOf(key: PrivateKey): string[] {
  return key.getKeys().map((part) => part.getKeyID().toHex().toUpperCase());
}

const EXPECTED = "an armored private key block";

function unusable(message: string, seen: string, cause?: unknown): StageError<"decrypt"> {
  return new StageError("decrypt", "unusable_key", message, { seen, expected: EXPECTED, cause });
}

async function readBlock(block: string): Promise<PrivateKey[]> {
  const armors = block.match(/-----BEGIN PGP [A-Z ]+-----[\s\S]*?-----END PGP [A-Z ]+-----/g);
  if (armors === null)
    throw unusable("The text is no OpenPGP key block.", "text without a key block");
  const keys: PrivateKey[] = [];
  for (const armoredKeys of armors) {
    const type = /-----BEGIN ([A-Z ]+)-----/.exec(armoredKeys)?.[1] ?? "";
    if (type !== "PGP PRIVATE KEY BLOCK") {
      const seen = describeArmor(type);
      throw unusable(`The key block holds ${seen}, not a private key.`, seen);
    }
    try {
      keys.push(...(await readPrivateKeys({ armoredKeys })));
    } catch (cause) {
      throw unusable("The private key block cannot be read.", "a damaged key block", cause);
    }
  }
  return keys;
}

async function unlock(
  key: PrivateKey,
  passphrase: string | undefined,
  maxArgon2MemoryExponent: number,
  memory: MemoryPart,
): Promise<PrivateKey | undefined> {
  if (key.isDecrypted()) return key;
  // What is over the limit is refused below, before anything is filled.
  const exponent = argon2Exponent(key) ?? Infinity;
  const held = exponent > maxArgon2MemoryExponent ? undefined : exponent;
  const open = async (): Promise<PrivateKey> =>
    await decryptKey({
      privateKey: key,
      passphrase: passphrase ?? "",
      config: { maxArgon2MemoryExponent },
    });
  try {
    return await holding(memory, held, open);
  } catch (cause) {
    if (cause instanceof StageError) throw cause;
    // openpgp.js has no code for it; any other reason means a key that no passphrase opens.
    if (cause instanceof Error && cause.message.includes("Incorrect key passphrase"))
      return undefined;
    const [id = ""] = keyIdsOf(key);
    throw unusable(
      `The private key ${id} cannot be read. Export it again with a current OpenPGP tool.`,
      `a ${key.getAlgorithmInfo().algorithm} key that is not supported`,
      cause,
    );
  }
}

/** Reads and unlocks the keys of a credential. Throws `unusable_key`, or `bad_passphrase` if none opens. */
export async function unlockKeys(
  { privateKeyBlocks, passphrase }: PgpKeys,
  maxArgon2MemoryExponent: number,
  memory: MemoryPart,
): Promise<UnlockedKeys> {
  const unlocked: PrivateKey[] = [];
  const locked: PrivateKey[] = [];
  for (const block of privateKeyBlocks) {
    for (const key of await readBlock(block)) {
      const open = await unlock(key, passphrase, maxArgon2MemoryExponent, memory);
      if (open === undefined) locked.push(key);
      else unlocked.push(open);
    }
  }
  if (unlocked.length === 0 && locked.length > 0) throw badPassphrase(locked);
  return { unlocked, locked, passphrase };
}

/** The passphrase opens none of these keys. */
export function badPassphrase(locked: readonly PrivateKey[]): StageError<"decrypt"> {
  const ids = locked.flatMap((key) => keyIdsOf(key).slice(0, 1)).join(", ");
  return new StageError(
    "decrypt",
    "bad_passphrase",
    `The passphrase does not open the key ${ids}.`,
    {
      seen: `locked keys ${ids}`,
    },
  );
}

/** Keys made before key flags were usual may decrypt. */
const KEY_CONFIG = { ...config, allowMissingKeyFlags: true };

/** Throws `unusable_key` unless the key, or a subkey of it, is one for decrypting. */
export async function assertDecrypts(key: PrivateKey): Promise<void> {
  try {
    // Without a date: a key that has expired still opens the files that were encrypted to it.
    await key.getDecryptionKeys(undefined, null, undefined, KEY_CONFIG);
  } catch (cause) {
    const [id = ""] = keyIdsOf(key);
    throw unusable(`The key ${id} cannot decrypt.`, "a key that does not decrypt", cause);
  }
}

/**
 * Checks the keys of a credential before it is kept: all blocks hold private keys, the passphrase
 * opens each of them, and each can decrypt. Throws `unusable_key` or `bad_passphrase`.
 */
export async function inspectPrivateKeys(
  privateKeyBlocks: readonly string[],
  passphrase?: string,
): Promise<PrivateKeyFacts[]> {
  const keys = { privateKeyBlocks, ...(passphrase === undefined ? {} : { passphrase }) };
  const { unlocked, locked } = await unlockKeys(
    keys,
    DEFAULT_LIMITS.maxArgon2MemoryExponent,
    derivationMemory(),
  );
  if (locked.length > 0) throw badPassphrase(locked);
  for (const key of unlocked) await assertDecrypts(key);
  return unlocked.map((key) => ({
    fingerprint: key.getFingerprint(),
    keyIds: keyIdsOf(key),
    userIds: key.getUserIDs(),
  }));
}
