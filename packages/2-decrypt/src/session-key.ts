import { StageError } from "@sluice/errors";
import type { MemoryPart } from "@sluice/streams";
import {
  decryptSessionKeys,
  enums,
  type PartialConfig,
  type PrivateKey,
  readMessage,
  type SessionKey,
} from "openpgp";
import { holding } from "./argon2-memory.ts";
import type { Envelope, SessionKeyPacket } from "./envelope.ts";
import {
  integrityFailed,
  limitExceeded,
  unsupportedAlgorithm,
  wrongPassphrase,
} from "./failures.ts";
import type { DecryptLimits } from "./limits.ts";
import { assertDecrypts, badPassphrase, keyIdsOf, type UnlockedKeys } from "./private-keys.ts";
import { prefixMatches } from "./seipd-1.ts";
import {
  assertPassphrasePacket,
  assertPublicKeyAlgorithm,
  recipientOf,
  WILDCARD,
} from "./session-key-packet.ts";

/** How to open the encrypted data. */
export interface FoundSessionKey {
  readonly sessionKey: SessionKey;
  /** From a passphrase, with a cipher for which nothing tells yet whether it is the right one. */
  readonly isGuess: boolean;
}

/** Finds the message's session key with the keys or the passphrase held; throws the reason when none does. */
export async function findSessionKey(
  envelope: Envelope,
  keys: UnlockedKeys,
  limits: DecryptLimits,
  memory: MemoryPart,
): Promise<FoundSessionKey> {
  const toKeys = envelope.sessionKeys.filter((packet) => packet.kind === "public-key");
  const toPassphrases = envelope.sessionKeys.filter((packet) => packet.kind === "passphrase");
  const matches = toKeys.flatMap((packet) => {
    const { keyId } = recipientOf(packet);
    return keys.unlocked
      .filter((key) => keyId === WILDCARD || keyIdsOf(key).includes(keyId))
      .map((key) => ({ packet, key }));
  });
  if (matches.length > 0) {
    const found = await tryPrivateKeys(envelope, matches, limits);
    if (found !== undefined) return { sessionKey: found, isGuess: false };
  }
  if (toPassphrases.length > 0 && keys.passphrase !== undefined) {
    const tried = { passphrase: keys.passphrase, memory };
    const found = await tryPassphrase(envelope, toPassphrases, tried, limits);
    if (found !== undefined) {
      const isGuess = envelope.protection !== "aead" && fits(envelope, found) === undefined;
      return { sessionKey: found, isGuess };
    }
    if (matches.length === 0) throw wrongPassphrase();
  }
  if (matches.length > 0) throw integrityFailed(0);
  throw noMatchingKey(envelope, toKeys, toPassphrases, keys);
}

function noMatchingKey(
  envelope: Envelope,
  toKeys: readonly SessionKeyPacket[],
  toPassphrases: readonly SessionKeyPacket[],
  keys: UnlockedKeys,
): StageError<"decrypt"> {
  const wanted = toKeys.map((packet) => recipientOf(packet).keyId);
  const lockedMatch = keys.locked.filter((key) => keyIdsOf(key).some((id) => wanted.includes(id)));
  if (lockedMatch.length > 0) return badPassphrase(lockedMatch);
  const held = keys.unlocked.flatMap(keyIdsOf);
  if (toKeys.length === 0 && toPassphrases.length === envelope.sessionKeys.length) {
    return new StageError(
      "decrypt",
      "bad_passphrase",
      "The message is encrypted to a passphrase, and none is held.",
      { seen: "a message encrypted to a passphrase" },
    );
  }
  const seen = `encrypted to ${wanted.map((id) => (id === WILDCARD ? "a hidden key" : id)).join(", ")}`;
  const expected = held.length > 0 ? `one of the keys held: ${held.join(", ")}` : "no key is held";
  return new StageError(
    "decrypt",
    "no_matching_key",
    `The message is ${seen}; ${held.length > 0 ? `held are ${held.join(", ")}` : expected}.`,
    { seen, expected },
  );
}

/** A message of one session key packet and the beginning of the data: what openpgp.js needs to open the key. */
async function opened(
  envelope: Envelope,
  packet: SessionKeyPacket,
  options: {
    readonly decryptionKeys?: PrivateKey[];
    readonly passwords?: string[];
    readonly config: PartialConfig;
  },
): Promise<SessionKey[]> {
  const header = Uint8Array.of(0xc0 | envelope.tag, envelope.bodyHead.byteLength);
  const binaryMessage = Buffer.concat([packet.raw, header, envelope.bodyHead]);
  const message = await readMessage({ binaryMessage: new Uint8Array(binaryMessage) });
  const found = await decryptSessionKeys({ message, ...options });
  return found.map(({ data, algorithm }) => ({
    data,
    // Authenticated data names its cipher itself.
    algorithm:
      algorithm ?? enums.read(enums.symmetric, (envelope.bodyHead[1] ?? 0) as enums.symmetric),
  }));
}

/** The ciphers that a session key is looked for at first: those whose fit can be told. */
function usualCiphers(envelope: Envelope): enums.symmetric[] {
  const { aes128, aes192, aes256, tripledes } = enums.symmetric;
  const usual = [aes128, aes192, aes256, tripledes];
  if (envelope.protection !== "aead") return usual;
  return usual.filter((cipher) => cipher === envelope.bodyHead[1]);
}

interface Match {
  readonly packet: SessionKeyPacket;
  readonly key: PrivateKey;
}

async function tryPrivateKeys(
  envelope: Envelope,
  matches: readonly Match[],
  { maxPrivateKeyTries }: DecryptLimits,
): Promise<SessionKey | undefined> {
  let fallback: SessionKey | undefined;
  for (const [tries, match] of matches.entries()) {
    if (tries >= maxPrivateKeyTries) {
      throw limitExceeded(
        `None of the first maxPrivateKeyTries = ${maxPrivateKeyTries} pairs of a recipient and a key held opens the message.`,
      );
    }
    assertPublicKeyAlgorithm(recipientOf(match.packet).algorithm);
    await assertDecrypts(match.key);
    const candidates = await sessionKeysOf(envelope, match, usualCiphers(envelope));
    // With RSA some are random, so that nobody learns whether the padding was right: the fitting
    // one is taken, or else any, and the data's own check fails at its end as it does for all damage.
    const fitting =
      candidates.find(
        (found) => envelope.protection === "aead" || fits(envelope, found) !== false,
      ) ?? (await rareSessionKey(envelope, match));
    if (fitting !== undefined) return fitting;
    fallback ??= candidates[0];
  }
  return fallback;
}

/**
 * The session keys that one private key finds in one packet; none when it is not the packet's key.
 * For RSA and Elgamal there is one for each of `ciphers`, random but for the one that is in the
 * packet, if any is.
 */
async function sessionKeysOf(
  envelope: Envelope,
  { packet, key }: Match,
  ciphers: readonly enums.symmetric[],
): Promise<SessionKey[]> {
  try {
    return await opened(envelope, packet, {
      decryptionKeys: [key],
      config: {
        allowMissingKeyFlags: true,
        constantTimePKCS1Decryption: ciphers.length > 0,
        constantTimePKCS1DecryptionSupportedSymmetricAlgorithms: new Set(ciphers),
      },
    });
  } catch (error) {
    const message = error instanceof Error ? error.message : "";
    if (message.includes("Unsupported cipher"))
      throw unsupportedAlgorithm("The cipher IDEA", error);
    if (message.includes("Invalid enum value")) {
      throw unsupportedAlgorithm("The message's cipher (Camellia, or one without a name)", error);
    }
    if (message.includes("non-preferred symmetric algorithm")) {
      throw unsupportedAlgorithm("A cipher that the key's owner does not list", error);
    }
    return [];
  }
}

/**
 * The session key of a cipher whose fit cannot be told beforehand: the packet's own is found twice,
 * a random one differs. When there is none either, the packet is opened without constant time, for
 * the name of a cipher that is not supported alone: that takes a right padding and a right checksum,
 * a chance of 2^-32 for a packet made up at random, so that it is no oracle to work with.
 */
async function rareSessionKey(envelope: Envelope, match: Match): Promise<SessionKey | undefined> {
  const { cast5, blowfish, twofish } = enums.symmetric;
  for (const cipher of [cast5, blowfish, twofish]) {
    const [first] = await sessionKeysOf(envelope, match, [cipher]);
    const [second] = await sessionKeysOf(envelope, match, [cipher]);
    if (
      first !== undefined &&
      second !== undefined &&
      Buffer.compare(first.data, second.data) === 0
    ) {
      return first;
    }
  }
  await sessionKeysOf(envelope, match, []);
  return undefined;
}

const fits = (envelope: Envelope, key: SessionKey): boolean | undefined =>
  prefixMatches(key, envelope.bodyHead);

async function tryPassphrase(
  envelope: Envelope,
  packets: readonly SessionKeyPacket[],
  { passphrase, memory }: { readonly passphrase: string; readonly memory: MemoryPart },
  limits: DecryptLimits,
): Promise<SessionKey | undefined> {
  for (const [tries, packet] of packets.entries()) {
    if (tries >= limits.maxPassphraseTries) {
      throw limitExceeded(
        `The passphrase opens none of the first maxPassphraseTries = ${limits.maxPassphraseTries} of the message's passphrase recipients.`,
      );
    }
    const exponent = assertPassphrasePacket(packet, limits);
    // A wrong passphrase most often fails here; another packet may be the passphrase's.
    const open = async (): Promise<SessionKey[]> =>
      await opened(envelope, packet, {
        passwords: [passphrase],
        config: { maxArgon2MemoryExponent: limits.maxArgon2MemoryExponent },
      }).catch(() => []);
    const candidates = await holding(memory, exponent, open);
    const fitting = candidates.find(
      (candidate) => envelope.protection === "aead" || fits(envelope, candidate) !== false,
    );
    if (fitting !== undefined) return fitting;
  }
  return undefined;
}
