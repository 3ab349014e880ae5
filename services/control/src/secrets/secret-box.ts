import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  hkdfSync,
  randomBytes,
} from "node:crypto";

/** Where a secret belongs. It opens nowhere else. */
interface SecretPlace {
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
  /** Names the master key without telling it. */
  readonly keyId: string;
  seal(place: SecretPlace, secret: Uint8Array): SealedSecret;
  /** Throws when the master key, the place or the bytes are not what was sealed. */
  open(place: SecretPlace, sealed: SealedSecret): Buffer;
  /** A keyed hash: nobody without the master key can try guesses against it. */
  digest(bytes: Uint8Array): Buffer;
}

const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/**
 * Envelope encryption by AES-256-GCM. The place is authenticated with both layers, so that a row
 * that was moved to another credential, or back to an older version, does not open.
 */
export function createSecretBox(masterKey: Uint8Array): SecretBox {
  if (masterKey.length !== 32) {
    throw new RangeError("a master key has 32 bytes");
  }
  const wrappingKey = derive(masterKey, "sluice wrapping key");
  const digestKey = derive(masterKey, "sluice digest key");
  const keyId = createHash("sha256")
    .update(derive(masterKey, "sluice key id"))
    .digest("hex")
    .slice(0, 16);
  return {
    keyId,
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
      if (sealed.keyId !== keyId) {
        throw new Error(`the secret is sealed by master key ${sealed.keyId}, not by ${keyId}`);
      }
      const dataKey = decrypt(wrappingKey, sealed.wrappedKey, toBytes(place, "key"));
      try {
        return decrypt(dataKey, sealed.sealed, toBytes(place, "secret"));
      } finally {
        dataKey.fill(0);
      }
    },
    digest: (bytes) => createHmac("sha256", digestKey).update(bytes).digest(),
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
