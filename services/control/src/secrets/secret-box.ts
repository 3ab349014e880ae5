import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  hkdfSync,
  randomBytes,
  timingSafeEqual,
} from "node:crypto";

/** Where a secret belongs. It opens nowhere else. */
export interface SecretPlace {
  readonly tenant: string;
  readonly credentialId: string;
  /** The proto field's name. */
  readonly name: string;
  /** Grows with every change of this secret. */
  readonly version: number;
}

/** A secret at rest: its own data key, wrapped by the master key, and itself under the data key. */
export interface SealedSecret {
  readonly keyId: string;
  readonly wrappedKey: Uint8Array;
  readonly sealed: Uint8Array;
}

/** What the master key is used for. The key itself stays inside. */
export interface SecretBox {
  /** Names the master key that seals, without telling it. */
  readonly keyId: string;
  /** Names all master keys that open. */
  readonly keyIds: ReadonlySet<string>;
  seal(place: SecretPlace, secret: Uint8Array): SealedSecret;
  /** Throws when the master key, the place or the bytes are not what was sealed. */
  open(place: SecretPlace, sealed: SealedSecret): Buffer;
  /** The same secret with its data key wrapped by the master key that seals now. */
  rewrap(place: SecretPlace, sealed: SealedSecret): SealedSecret;
  /** Whether one of the master keys made the digest of these bytes. */
  isDigest(bytes: Uint8Array, digest: Uint8Array): boolean;
  /** A keyed hash: nobody without the master key can try guesses against it. */
  digest(bytes: Uint8Array): Buffer;
}

const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/**
 * Envelope encryption by AES-256-GCM. The place is authenticated with both layers, so that a row
 * that was moved to another credential, or back to an older version, does not open.
 */
export function createSecretBox(
  masterKey: Uint8Array,
  /** Master keys that open what they sealed, and seal nothing: for the time of a rotation. */
  furtherKeys: readonly Uint8Array[] = [],
): SecretBox {
  const own = keysOf(masterKey);
  const { keyId, wrappingKey } = own;
  const ring = new Map([...furtherKeys.map(keysOf), own].map((keys) => [keys.keyId, keys]));
  const openDataKey = (place: SecretPlace, sealed: SealedSecret): Buffer => {
    const keys = ring.get(sealed.keyId);
    if (keys === undefined) {
      throw new Error(`the secret is sealed by master key ${sealed.keyId}, not by ${keyId}`);
    }
    return decrypt(keys.wrappingKey, sealed.wrappedKey, toBytes(place, "key"));
  };
  const digest = (key: Buffer, bytes: Uint8Array): Buffer =>
    createHmac("sha256", key).update(bytes).digest();
  return {
    keyId,
    keyIds: new Set(ring.keys()),
    seal: (place, secret) => {
      const dataKey = randomBytes(32);
      try {
        return {
          keyId,
          wrappedKey: encrypt(wrappingKey, dataKey, toBytes(place, "key")),
          sealed: encrypt(dataKey, secret, toBytes(place, "secret")),
        };
      } finally {
        dataKey.fill(0);
      }
    },
    open: (place, sealed) => {
      const dataKey = openDataKey(place, sealed);
      try {
        return decrypt(dataKey, sealed.sealed, toBytes(place, "secret"));
      } finally {
        dataKey.fill(0);
      }
    },
    rewrap: (place, sealed) => {
      const dataKey = openDataKey(place, sealed);
      try {
        // Only what opens is wrapped anew: a row that was tampered with stays as it is, and is told.
        decrypt(dataKey, sealed.sealed, toBytes(place, "secret")).fill(0);
        const wrappedKey = encrypt(wrappingKey, dataKey, toBytes(place, "key"));
        return { keyId, wrappedKey, sealed: sealed.sealed };
      } finally {
        dataKey.fill(0);
      }
    },
    digest: (bytes) => digest(own.digestKey, bytes),
    isDigest: (bytes, told) =>
      [...ring.values()].some(({ digestKey }) => {
        const made = digest(digestKey, bytes);
        return made.length === told.length && timingSafeEqual(made, told);
      }),
  };
}

interface MasterKeys {
  readonly keyId: string;
  readonly wrappingKey: Buffer;
  readonly digestKey: Buffer;
}

function keysOf(masterKey: Uint8Array): MasterKeys {
  if (masterKey.length !== 32) {
    throw new RangeError("a master key has 32 bytes");
  }
  const named = createHash("sha256").update(derive(masterKey, "sluice key id")).digest("hex");
  return {
    keyId: named.slice(0, 16),
    wrappingKey: derive(masterKey, "sluice wrapping key"),
    digestKey: derive(masterKey, "sluice digest key"),
  };
}

function derive(masterKey: Uint8Array, purpose: string): Buffer {
  return Buffer.from(hkdfSync("sha256", masterKey, "", purpose, 32));
}

function toBytes(place: SecretPlace, layer: string): Buffer {
  return Buffer.from(
    JSON.stringify([layer, place.tenant, place.credentialId, place.name, place.version]),
  );
}

/** Nonce, tag and ciphertext in one. */
function encrypt(key: Uint8Array, plain: Uint8Array, associated: Uint8Array): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv("aes-256-gcm", key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(associated);
  const body = Buffer.concat([cipher.update(plain), cipher.final()]);
  return Buffer.concat([nonce, cipher.getAuthTag(), body]);
}

function decrypt(key: Uint8Array, bytes: Uint8Array, associated: Uint8Array): Buffer {
  const decipher = createDecipheriv("aes-256-gcm", key, bytes.subarray(0, NONCE_BYTES), {
    authTagLength: TAG_BYTES,
  });
  decipher.setAAD(associated);
  decipher.setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
  const body = decipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES));
  return Buffer.concat([body, decipher.final()]);
}
