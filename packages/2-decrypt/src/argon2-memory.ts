import { type MemoryPart, UNCOUNTED, type WorkingMemory } from "@sluice/streams";
import type { PrivateKey } from "openpgp";
import { limitExceeded } from "./failures.ts";

const KIB = 1024;

/** The account of what deriving keys from passphrases takes; taking too much is `decrypt.limit_exceeded`. */
export function derivationMemory(memory: WorkingMemory = UNCOUNTED): MemoryPart {
  return memory.part((message) => limitExceeded(`The passphrase's derivation: ${message}.`));
}

/** Holds what Argon2 fills while `derive` runs. `exponent` is the logarithm of its KiB; undefined for other derivations. */
export async function holding<T>(
  memory: MemoryPart,
  exponent: number | undefined,
  derive: () => Promise<T>,
): Promise<T> {
  if (exponent === undefined) return await derive();
  await memory.hold(2 ** exponent * KIB);
  try {
    return await derive();
  } finally {
    await memory.hold(0);
  }
}

/** The largest Argon2 exponent by which a key's parts are locked, as far as openpgp.js shows it. */
export function argon2Exponent(key: PrivateKey): number | undefined {
  const exponents = key.getKeys().flatMap(({ keyPacket }) => {
    const { s2k } = keyPacket as { readonly s2k?: { readonly encodedM?: number } | null };
    return s2k?.encodedM ?? [];
  });
  return exponents.length === 0 ? undefined : Math.max(...exponents);
}
