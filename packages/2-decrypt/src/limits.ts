import { limitExceeded } from "./failures.ts";

/** What one message may take; each limit is an option of decrypt() by the same name. */
export interface DecryptLimits {
  /** Bytes that may come out of one message. Default 1 TiB. */
  readonly maxOutputBytes: number;
  /** Bytes of a message's data that its bytes may unpack to, times; judged over `ratioFromBytes`. Default 1,100: deflate ends at 1,032. */
  readonly maxRatio: number;
  /** The same for bzip2, which packs a constant file of text 8,384 times. Default 100,000. */
  readonly maxBzip2Ratio: number;
  /** Data of no more bytes may unpack as far as it does. Default 1 GiB. */
  readonly ratioFromBytes: number;
  /** Packets in packets: the encrypted data is one, compressed data inside it the next. Default 4. */
  readonly maxNestedDepth: number;
  /** Packets of any kind in one message, those before the encrypted data too. Default 1,000. */
  readonly maxPackets: number;
  /** Signatures that a message may bear. Default 16. */
  readonly maxSignatures: number;
  /** Recipients, passphrases included, that a message may name. Default 256. */
  readonly maxRecipients: number;
  /** Pairs of a recipient and a held private key that are tried. Default 64. */
  readonly maxPrivateKeyTries: number;
  /** Recipients of the passphrase kind that are tried. Default 8. */
  readonly maxPassphraseTries: number;
  /** Bytes that deriving a key from a passphrase may hash. Default 65,011,712, the most that can be written. */
  readonly maxS2kIterationCount: number;
  /** Logarithm of the KiB that deriving a key from a passphrase may take. Default 18, which is 256 MiB; at most 20. */
  readonly maxArgon2MemoryExponent: number;
}

export const DEFAULT_LIMITS: DecryptLimits = {
  maxOutputBytes: 2 ** 40,
  maxRatio: 1100,
  maxBzip2Ratio: 100_000,
  ratioFromBytes: 2 ** 30,
  maxNestedDepth: 4,
  maxPackets: 1000,
  maxSignatures: 16,
  maxRecipients: 256,
  maxPrivateKeyTries: 64,
  maxPassphraseTries: 8,
  maxS2kIterationCount: 65_011_712,
  maxArgon2MemoryExponent: 18,
};

const HIGHEST_ARGON2_MEMORY_EXPONENT = 20;

/** The limits that `options` set, or their defaults. Throws a RangeError for a limit that must not be. */
export function limitsOf(options: Partial<DecryptLimits>): DecryptLimits {
  const limits: Record<string, number> = { ...DEFAULT_LIMITS };
  for (const name of Object.keys(DEFAULT_LIMITS)) {
    const value = options[name as keyof DecryptLimits] ?? limits[name];
    if (value === undefined || !(value >= 0)) throw new RangeError(`${name} must not be below 0`);
    limits[name] = value;
  }
  const chosen = { ...DEFAULT_LIMITS, ...limits };
  if (chosen.maxArgon2MemoryExponent > HIGHEST_ARGON2_MEMORY_EXPONENT) {
    throw new RangeError("maxArgon2MemoryExponent must not be over 20, which is 1 GiB");
  }
  return chosen;
}

/** What one message has taken so far. */
export interface Spent {
  /** Bytes of encrypted data that were opened. */
  openedBytes: number;
  packets: number;
  hasBzip2: boolean;
}

/** Counts one packet more. */
export function countPacket(spent: Spent, { maxPackets }: DecryptLimits): void {
  spent.packets++;
  if (spent.packets > maxPackets) {
    throw limitExceeded(`The message has more packets than maxPackets = ${maxPackets}.`);
  }
}

/** Throws when `unpackedBytes` are more than what was opened may unpack to. */
export function assertRatio(unpackedBytes: number, spent: Spent, limits: DecryptLimits): void {
  if (unpackedBytes <= limits.ratioFromBytes) return;
  const name = spent.hasBzip2 ? "maxBzip2Ratio" : "maxRatio";
  if (unpackedBytes <= limits[name] * spent.openedBytes) return;
  throw limitExceeded(
    `The message unpacks to more than ${name} = ${limits[name]} times its size, and to more than ratioFromBytes = ${limits.ratioFromBytes}.`,
  );
}
