import { StageError } from "@sluice/errors";
import { createByteReader } from "@sluice/streams";
import { dearmor, isArmored } from "./armor.ts";
import { readEnvelope } from "./envelope.ts";
import { type DecryptLimits, limitsOf } from "./limits.ts";
import { recipientOf, WILDCARD } from "./session-key-packet.ts";

/** For whom a message is, as far as it says. */
export interface Recipients {
  /** 16 upper-case hexadecimal digits each; hidden recipients are left out. */
  readonly keyIds: readonly string[];
  /** Whether the message may be opened by keys or passphrases that it does not name. */
  readonly others: boolean;
}

const SNIFF_BYTES = 64;

/**
 * Whom a message is for, told without any key; undefined for bytes that are no encrypted message, and for one that no
 * key opens. Reads no more than what stands before the encrypted data.
 */
export async function readRecipients(
  source: AsyncIterable<Uint8Array>,
  options: Partial<DecryptLimits> = {},
): Promise<Recipients | undefined> {
  const file = createByteReader(source);
  try {
    const head = await file.take(SNIFF_BYTES);
    file.putBack(head);
    const message = isArmored(head) ? createByteReader(dearmor(file)) : file;
    const { sessionKeys } = await readEnvelope(message, limitsOf(options));
    const keys = sessionKeys.filter(({ kind }) => kind === "public-key").map(recipientOf);
    const keyIds = [...new Set(keys.map(({ keyId }) => keyId))].filter((id) => id !== WILDCARD);
    const others = keys.length < sessionKeys.length || keys.some(({ keyId }) => keyId === WILDCARD);
    return { keyIds, others };
  } catch (error) {
    if (error instanceof StageError && error.stage === "decrypt") return undefined;
    throw error;
  } finally {
    await file.close();
  }
}
