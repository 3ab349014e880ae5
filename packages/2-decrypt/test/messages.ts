import { StageError } from "@sluice/errors";
import type { PgpKeys } from "@sluice/schema";
import { chunked } from "@sluice/streams/testing";
import {
  createMessage,
  encrypt,
  generateKey,
  type PartialConfig,
  type PrivateKey,
  readPrivateKey,
} from "openpgp";
import { type DecryptOptions, decrypt } from "../src/index.ts";

/** A fresh Curve25519 key, locked when a passphrase is given. */
export async function newKey(passphrase?: string): Promise<{ armored: string; key: PrivateKey }> {
  const { privateKey } = await generateKey({
    type: "ecc",
    curve: "curve25519Legacy",
    userIDs: [{ name: "Test", email: "test@example.org" }],
    ...(passphrase === undefined ? {} : { passphrase }),
  });
  return { armored: privateKey, key: await readPrivateKey({ armoredKey: privateKey }) };
}

export interface Sealing {
  readonly to?: PrivateKey;
  readonly password?: string;
  readonly config?: PartialConfig;
}

/** Encrypts with openpgp.js. */
export async function seal(content: Uint8Array, sealing: Sealing): Promise<Uint8Array> {
  const { to, password, config } = sealing;
  return await encrypt({
    message: await createMessage({ binary: new Uint8Array(content), filename: "../../evil.csv" }),
    ...(to === undefined ? {} : { encryptionKeys: to.toPublic() }),
    ...(password === undefined ? {} : { passwords: password }),
    ...(config === undefined ? {} : { config }),
    format: "binary",
  });
}

export async function bytesOf(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of source) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** The plaintext of `bytes`, or the error that the stage refuses them with. */
export async function outcome(
  bytes: Uint8Array,
  keys: PgpKeys,
  options: Omit<DecryptOptions, "keys"> = {},
  chunkSize = 4096,
): Promise<Buffer | StageError> {
  try {
    return await bytesOf(decrypt({ keys, ...options })(chunked(bytes, chunkSize)));
  } catch (error) {
    if (error instanceof StageError && error.stage === "decrypt") return error;
    throw error;
  }
}

/** Like outcome, but the error's code alone. */
export async function codeOf(
  bytes: Uint8Array,
  keys: PgpKeys,
  options: Omit<DecryptOptions, "keys"> = {},
): Promise<Buffer | string> {
  const seen = await outcome(bytes, keys, options);
  return seen instanceof StageError ? seen.code : seen;
}
