import { StageError } from "@sluice/errors";
import type { PgpKeys } from "@sluice/schema";
import { chunked } from "@sluice/streams/testing";
import {
  createMessage,
  encrypt,
  enums,
  generateKey,
  type PartialConfig,
  type PrivateKey,
  readKey,
  readPrivateKey,
  reformatKey,
  revokeKey,
  sign,
} from "openpgp";
import { describe, expect, test } from "vitest";
import { decrypt, inspectSignerKeys } from "../src/index.ts";
import { joined, literal, packet, sealHashed, sessionKeyFor } from "./made-messages.ts";
import { bytesOf, newKey, outcome } from "./messages.ts";

const text = Buffer.from("id,name\n1,Ada\n2,Grace\n".repeat(50));
const mine = await newKey();
const signer = await newKey();
const other = await newKey();
const publicOf = (key: PrivateKey): string => key.toPublic().armor();
const keys = (...signers: readonly PrivateKey[]): PgpKeys => ({
  privateKeyBlocks: [mine.armored],
  signerPublicKeys: signers.map(publicOf),
});
const idOf = (key: PrivateKey): string => key.getKeyID().toHex().toUpperCase();

async function signed(
  by: PrivateKey | PrivateKey[],
  config: PartialConfig = {},
): Promise<Uint8Array> {
  return await encrypt({
    message: await createMessage({ binary: new Uint8Array(text) }),
    encryptionKeys: mine.key.toPublic(),
    signingKeys: by,
    config,
    format: "binary",
  });
}

/** A message of packets put together by hand. */
async function made(...packets: readonly Uint8Array[]): Promise<Buffer> {
  const { sessionKey, packet } = await sessionKeyFor({ key: mine.key.toPublic() });
  return await bytesOf(joined(packet, sealHashed(sessionKey, packets)));
}

/** The packets of a signed message: the announcement, the data, the signature. */
async function signedPackets(
  by: PrivateKey,
  date = new Date(),
): Promise<readonly [Buffer, Buffer, Buffer]> {
  const message = await sign({
    message: await createMessage({ binary: new Uint8Array(text) }),
    signingKeys: by,
    date,
    format: "binary",
  });
  const onePass = Buffer.from(message.subarray(0, 2 + (message[1] ?? 0)));
  const signature = await sign({
    message: await createMessage({ binary: new Uint8Array(text) }),
    signingKeys: by,
    date,
    detached: true,
    format: "binary",
  });
  return [onePass, literal(text), Buffer.from(signature)];
}

async function reason(bytes: Uint8Array, held: PgpKeys): Promise<string> {
  const seen = await outcome(bytes, held);
  if (!(seen instanceof StageError)) return seen.equals(text) ? "opened" : "other bytes";
  expect(seen.code).toBe("signature_invalid");
  return seen.rawMessage;
}

describe("a message that must be signed", () => {
  test("opens when one of the signers signed it", async () => {
    expect(await reason(await signed(signer.key), keys(other.key, signer.key))).toBe("opened");
  });

  test("opens when it is compressed, or in authenticated pieces", async () => {
    const zlib = { preferredCompressionAlgorithm: enums.compression.zlib };
    expect(await reason(await signed(signer.key, zlib), keys(signer.key))).toBe("opened");
    expect(await reason(await signed(signer.key, { aeadProtect: true }), keys(signer.key))).toBe(
      "opened",
    );
  });

  test("opens when only one of its signatures is by a signer", async () => {
    const message = await signed([other.key, signer.key]);
    expect(await reason(message, keys(signer.key))).toBe("opened");
    expect(await reason(message, keys(other.key))).toBe("opened");
  });

  test("opens when a key of version 6 signed it, with its salt", async () => {
    const { privateKey } = await generateKey({
      type: "curve25519",
      userIDs: [{ email: "six@example.org" }],
      config: { v6Keys: true },
    });
    const six = await readPrivateKey({ armoredKey: privateKey });
    expect(await reason(await signed(six), keys(six))).toBe("opened");
    expect(await reason(await signed(six), keys(signer.key))).toContain(idOf(six));
    const [onePass, data, signature] = await signedPackets(six);
    expect(await reason(await made(signature, data), keys(six))).toBe("opened");
    const other = await made(signature, literal(Buffer.from("x")));
    expect(await reason(other, keys(six))).toContain("does not fit the data");
    // Made apart, the two have salts of their own.
    const apart = await made(onePass, data, signature);
    expect(await reason(apart, keys(six))).toContain("was not announced as it is");
  });

  test("opens when it is text, whose line ends are signed as CR LF wherever it is cut", async () => {
    const message = await encrypt({
      message: await createMessage({ text: "id\n1\r\n\n2\r3\n" }),
      encryptionKeys: mine.key.toPublic(),
      signingKeys: signer.key,
      format: "binary",
    });
    for (const chunkSize of [1, 7, 4096]) {
      const seen = await outcome(message, keys(signer.key), {}, chunkSize);
      expect(seen.toString()).toMatch(/^id\r?\n1/);
      expect(seen).toBeInstanceOf(Buffer);
    }
  });

  test("opens with the signature before the data, as old tools write it", async () => {
    const [, data, signature] = await signedPackets(signer.key);
    expect(await reason(await made(signature, data), keys(signer.key))).toBe("opened");
    expect(
      await reason(await made(signature, literal(Buffer.from("x"))), keys(signer.key)),
    ).toContain("does not fit the data");
  });

  test("gives its data before it refuses the signature", async () => {
    const chunks: Uint8Array[] = [];
    const stage = decrypt({ keys: keys(other.key) });
    const reading = (async () => {
      for await (const chunk of stage(chunked(await signed(signer.key), 100))) chunks.push(chunk);
    })();
    await expect(reading).rejects.toMatchObject({ code: "signature_invalid" });
    expect(Buffer.concat(chunks)).toEqual(text);
  });

  test("is judged by its integrity first", async () => {
    const message = Buffer.from(await signed(signer.key));
    const last = message.byteLength - 1;
    message.writeUInt8(message.readUInt8(last) ^ 1, last);
    expect(await outcome(message, keys(other.key))).toMatchObject({ code: "integrity_failed" });
  });

  test("is not judged when no signer is named", async () => {
    expect(await outcome(await signed(other.key), keys())).toEqual(text);
    const [onePass, data, signature] = await signedPackets(other.key);
    const wrong = Buffer.from(signature).fill(7, signature.byteLength - 8);
    expect(await outcome(await made(onePass, data, wrong), keys())).toEqual(text);
  });
});

describe("a signature that does not count is told apart", () => {
  test("none", async () => {
    const message = await encrypt({
      message: await createMessage({ binary: new Uint8Array(text) }),
      encryptionKeys: mine.key.toPublic(),
      format: "binary",
    });
    const error = await outcome(message, keys(signer.key));
    expect(error).toMatchObject({ code: "signature_invalid", seen: "no signature" });
    if (!(error instanceof StageError)) throw new Error("opened");
    expect(error.rawMessage).toContain("is not signed");
    expect(error.expected).toContain(idOf(signer.key));
  });

  test("one that was announced and then left out", async () => {
    const [onePass, data] = await signedPackets(signer.key);
    expect(await reason(await made(onePass, data), keys(signer.key))).toContain("is not signed");
  });

  test("by somebody else", async () => {
    const error = await outcome(await signed(other.key), keys(signer.key));
    if (!(error instanceof StageError)) throw new Error("opened");
    expect(error.code).toBe("signature_invalid");
    expect(error.seen).toContain(`${idOf(other.key)}, which is no signer's`);
    expect(error.expected).toContain(idOf(signer.key));
  });

  test("over other data", async () => {
    const [onePass, , signature] = await signedPackets(signer.key);
    const message = await made(onePass, literal(Buffer.from("id\n666\n")), signature);
    const error = await outcome(message, keys(signer.key));
    if (!(error instanceof StageError)) throw new Error("opened");
    expect(error.rawMessage).toContain(`${idOf(signer.key)} that does not fit the data`);
    expect(error.rawMessage).not.toContain("666");
  });

  test("altered itself", async () => {
    const [onePass, data, signature] = await signedPackets(signer.key);
    const altered = Buffer.from(signature);
    altered.writeUInt8(altered.readUInt8(altered.byteLength - 1) ^ 1, altered.byteLength - 1);
    expect(await reason(await made(onePass, data, altered), keys(signer.key))).toContain(
      "does not fit the data",
    );
  });

  test("by a key that had expired, and not by one that expired since", async () => {
    const born = new Date(Date.now() - 90_000_000);
    const { privateKey } = await generateKey({
      type: "ecc",
      userIDs: [{ email: "old@example.org" }],
      date: born,
    });
    const key = await readPrivateKey({ armoredKey: privateKey });
    const at = async (seconds: number): Promise<Buffer> =>
      await made(...(await signedPackets(key, new Date(born.getTime() + seconds * 1000))));
    const within = await at(60);
    const after = await at(7200);
    const { publicKey } = await reformatKey({
      privateKey: key,
      userIDs: [{ email: "old@example.org" }],
      keyExpirationTime: 3600,
      date: born,
    });
    const held = { privateKeyBlocks: [mine.armored], signerPublicKeys: [publicKey] };
    expect(await reason(within, held)).toBe("opened");
    expect(await reason(after, held)).toContain("a key that had expired");
  });

  test("by a key that is revoked", async () => {
    const message = await signed(signer.key);
    const { publicKey } = await revokeKey({
      key: signer.key,
      reasonForRevocation: { flag: enums.reasonForRevocation.keyCompromised },
    });
    const held = { privateKeyBlocks: [mine.armored], signerPublicKeys: [publicKey] };
    expect(await reason(message, held)).toContain("a key that is revoked");
  });

  test("with a hash that can be forged", async () => {
    const [onePass, data, signature] = await signedPackets(signer.key);
    // Version, type, public-key algorithm, hash.
    signature.writeUInt8(2, 2 + 3);
    onePass.writeUInt8(2, 2 + 2);
    expect(await reason(await made(onePass, data, signature), keys(signer.key))).toContain("SHA-1");
  });

  test("of a version that is not read", async () => {
    const [onePass, data] = await signedPackets(signer.key);
    const version3 = packet(2, Uint8Array.of(3, 5, 0), Buffer.alloc(30));
    expect(await reason(await made(onePass, data, version3), keys(signer.key))).toContain(
      "version 3 that cannot be read",
    );
  });

  test("announced otherwise than it is", async () => {
    const [onePass, data, signature] = await signedPackets(signer.key);
    onePass.writeUInt8(8 + ((onePass.readUInt8(4) - 7) % 3), 4);
    expect(await reason(await made(onePass, data, signature), keys(signer.key))).toContain(
      "was not announced as it is",
    );
  });
});

test.each([
  [2, undefined],
  [3, undefined],
  [4, "limit_exceeded"],
])("%i signatures are taken up to maxSignatures = 3", async (count, code) => {
  const [, data, signature] = await signedPackets(signer.key);
  const message = await made(...Array<Uint8Array>(count).fill(signature), data);
  const seen = await outcome(message, keys(signer.key), { maxSignatures: 3 });
  if (code === undefined) expect(seen).toEqual(text);
  else
    expect(seen).toMatchObject({ code, rawMessage: expect.stringContaining("maxSignatures = 3") });
});

describe("signers' keys", () => {
  test("show whose they are", async () => {
    const [facts] = await inspectSignerKeys([publicOf(signer.key)]);
    expect(facts?.fingerprint).toBe(signer.key.getFingerprint());
    expect(facts?.keyIds).toContain(idOf(signer.key));
  });

  test.each([
    ["a private key", () => signer.armored],
    ["text without a key block", () => "hello"],
    ["a damaged key block", () => publicOf(signer.key).replace(/\n[A-Za-z0-9+/]{60}\n/, "\n")],
  ])("refuse %s", async (seen, block) => {
    const refused = { stage: "decrypt", code: "unusable_signer_key", seen };
    await expect(inspectSignerKeys([block()])).rejects.toMatchObject(refused);
    const held = { privateKeyBlocks: [mine.armored], signerPublicKeys: [block()] };
    expect(await outcome(await signed(signer.key), held)).toMatchObject(refused);
  });

  test("refuse a key that does not sign", async () => {
    const key = await readKey({ armoredKey: publicOf(signer.key) });
    key.users = [];
    await expect(inspectSignerKeys([key.armor()])).rejects.toMatchObject({
      code: "unusable_signer_key",
      seen: "a key that does not sign",
    });
  });
});
