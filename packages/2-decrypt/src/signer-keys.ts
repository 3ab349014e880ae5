import { StageError } from "@sluice/errors";
import { type PublicKey, readKeys } from "openpgp";
import { describeArmor } from "./describe-bytes.ts";

/** What may be shown of a signer's public key. */
export interface SignerKeyFacts {
  /** Lower-case hexadecimal. */
  readonly fingerprint: string;
  /** Of the key and its subkeys, 16 upper-case hexadecimal digits each. */
  readonly keyIds: readonly string[];
  readonly userIds: readonly string[];
}

const EXPECTED = "an armored public key block";

function unusable(message: string, seen: string, cause?: unknown): StageError<"decrypt"> {
  return new StageError("decrypt", "unusable_signer_key", message, {
    seen,
    expected: EXPECTED,
    cause,
  });
}

/** Reads the signers' public keys. Throws `unusable_signer_key` for a block that holds anything else. */
export async function readSignerKeys(blocks: readonly string[]): Promise<PublicKey[]> {
  const keys: PublicKey[] = [];
  for (const block of blocks) {
    const armors = block.match(/-----BEGIN PGP [A-Z ]+-----[\s\S]*?-----END PGP [A-Z ]+-----/g);
    if (armors === null)
      throw unusable("The signer's key is no OpenPGP key block.", "text without a key block");
    for (const armoredKeys of armors) {
      const type = /-----BEGIN ([A-Z ]+)-----/.exec(armoredKeys)?.[1] ?? "";
      if (type !== "PGP PUBLIC KEY BLOCK") {
        const seen = describeArmor(type);
        throw unusable(`The signer's key block holds ${seen}, not a public key.`, seen);
      }
      try {
        keys.push(...(await readKeys({ armoredKeys })));
      } catch (cause) {
        throw unusable("The signer's key block cannot be read.", "a damaged key block", cause);
      }
    }
  }
  return keys;
}

/** Checks signers' keys before they are kept, and says whose they are. Throws `unusable_signer_key`. */
export async function inspectSignerKeys(
  signerPublicKeys: readonly string[],
): Promise<SignerKeyFacts[]> {
  const keys = await readSignerKeys(signerPublicKeys);
  for (const key of keys) {
    try {
      // Without a date: a key that has expired still proves the files that it signed before.
      await key.getSigningKey(undefined, null);
    } catch (cause) {
      const id = key.getKeyID().toHex().toUpperCase();
      throw unusable(`The key ${id} cannot sign.`, "a key that does not sign", cause);
    }
  }
  return keys.map((key) => ({
    fingerprint: key.getFingerprint(),
    keyIds: signerKeyIds([key]),
    userIds: key.getUserIDs(),
  }));
}

/** Key ids of the keys and their subkeys, as people see them. */
export function signerKeyIds(keys: readonly PublicKey[]): string[] {
  return keys.flatMap((key) => key.getKeys().map((part) => part.getKeyID().toHex().toUpperCase()));
}
