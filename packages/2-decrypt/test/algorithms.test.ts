import { createCipheriv, createHash, randomBytes } from "node:crypto";
import { StageError } from "@sluice/errors";
import type { PgpKeys } from "@sluice/schema";
import {
  decrypt as decryptByOpenpgp,
  enums,
  generateKey,
  type KeyOptions,
  readMessage,
  readPrivateKey,
} from "openpgp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createGpg, type Gpg, hasGpg } from "./gpg.ts";
import {
  joined,
  literal,
  packet,
  sealHashed,
  sealPieces,
  sessionKeyFor,
  zipped,
} from "./made-messages.ts";
import { bytesOf, outcome, seal } from "./messages.ts";

const text = Buffer.from(
  Array.from({ length: 3000 }, (_, i) => `${i},${(i * 7919) % 10_007},row\n`).join(""),
);
type KeyKind = Pick<KeyOptions, "type" | "curve" | "rsaBits" | "config">;
const byPassphrase: PgpKeys = { privateKeyBlocks: [], passphrase: "secret" };

async function newKeyOf(options: KeyKind): Promise<string> {
  const { privateKey } = await generateKey({
    ...options,
    userIDs: [{ email: "test@example.org" }],
    passphrase: "open sesame",
  });
  return privateKey;
}

describe("a message to a key of", () => {
  const KINDS: readonly (readonly [string, KeyKind])[] = [
    ["RSA with 4,096 bits", { type: "rsa", rsaBits: 4096 }],
    ["ECDH with NIST P-256", { type: "ecc", curve: "nistP256" }],
    ["ECDH with NIST P-384", { type: "ecc", curve: "nistP384" }],
    ["ECDH with NIST P-521", { type: "ecc", curve: "nistP521" }],
    ["ECDH with Curve25519", { type: "ecc", curve: "curve25519Legacy" }],
    ["X25519, version 4", { type: "curve25519" }],
    ["X25519, version 6", { type: "curve25519", config: { v6Keys: true } }],
    ["X448, version 6", { type: "curve448", config: { v6Keys: true } }],
  ];
  test.each(KINDS)("%s opens", async (_, options) => {
    const armored = await newKeyOf(options);
    const key = await readPrivateKey({ armoredKey: armored });
    const held = { privateKeyBlocks: [armored], passphrase: "open sesame" };
    for (const config of [{}, { aeadProtect: true }]) {
      const message = await seal(text, { to: key, config });
      expect(await outcome(message, held)).toEqual(text);
      const wrong = await outcome(message, { ...held, passphrase: "open barley" });
      expect(wrong).toMatchObject({ code: "bad_passphrase" });
    }
  });
});

describe("authenticated pieces", () => {
  test.each([
    ["OCB", enums.aead.ocb],
    ["EAX", enums.aead.eax],
    ["GCM", enums.aead.gcm],
  ])("of openpgp.js in %s open with every size of key and rest", async (_, mode) => {
    for (const cipher of [enums.symmetric.aes128, enums.symmetric.aes192, enums.symmetric.aes256]) {
      for (const length of [0, 1, 50, 63, 64, 65, 112, 128, 1000]) {
        const message = await seal(text.subarray(0, length), {
          password: "secret",
          config: {
            aeadProtect: true,
            preferredAEADAlgorithm: mode,
            preferredSymmetricAlgorithm: cipher,
            aeadChunkSizeByte: 0,
            s2kIterationCountByte: 0,
          },
        });
        expect(await outcome(message, byPassphrase)).toEqual(text.subarray(0, length));
      }
    }
  });

  test.each([
    ["ocb", false],
    ["gcm", false],
    ["ocb", true],
  ] as const)(
    "in %s, of GnuPG's own kind: %s, open here and in openpgp.js",
    async (mode, isLegacy) => {
      const { sessionKey, packet: toPassphrase } = await sessionKeyFor(
        { password: "secret" },
        !isLegacy,
      );
      for (const chunkOctet of [0, 10, 16]) {
        const pieces = sealPieces(sessionKey, [zipped(literal(text))], {
          mode,
          chunkOctet,
          isLegacy,
        });
        const message = await bytesOf(joined(toPassphrase, pieces));
        expect(await outcome(message, byPassphrase)).toEqual(text);
        const { data } = await decryptByOpenpgp({
          message: await readMessage({
            binaryMessage: new Uint8Array(message),
            config: { enableParsingV5Entities: true },
          }),
          passwords: "secret",
          format: "binary",
          config: { enableParsingV5Entities: true },
        });
        expect(Buffer.from(data)).toEqual(text);
      }
    },
  );

  test.each([
    ["of more than 4 MiB", [2, 9, 2, 17], "limit_exceeded", "4 MiB"],
    ["in a mode without a name", [2, 9, 4, 10], "unsupported_algorithm", "mode 4"],
    ["in a cipher other than AES", [2, 10, 2, 10], "unsupported_algorithm", "cipher 10"],
    ["of a version without a name", [3, 9, 2, 10], "unsupported_algorithm", "version 3"],
  ])("%s are refused by name", async (_, head, code, words) => {
    const { packet: toPassphrase } = await sessionKeyFor({ password: "secret" }, true);
    const message = Buffer.concat([
      toPassphrase,
      packet(18, Uint8Array.from(head), Buffer.alloc(200)),
    ]);
    expect(await outcome(message, byPassphrase)).toMatchObject({
      code,
      rawMessage: expect.stringContaining(words),
    });
  });
});

test("a passphrase derived with Argon2 opens a message", async () => {
  const message = await seal(text, {
    password: "secret",
    config: {
      aeadProtect: true,
      s2kType: enums.s2k.argon2,
      s2kArgon2Params: { passes: 3, parallelism: 4, memoryExponent: 16 },
    },
  });
  expect(await outcome(message, byPassphrase)).toEqual(text);
});

describe.skipIf(!hasGpg)(`gpg as the second implementation${hasGpg ? "" : " (gpg absent)"}`, () => {
  let gpg: Gpg;
  beforeAll(() => {
    gpg = createGpg("secret");
  });
  afterAll(() => gpg[Symbol.dispose]());

  // Two blocks of text that compresses, runs of each length, nothing, and noise.
  const CONTENTS: readonly (readonly [string, Buffer])[] = [
    [
      "text of two blocks",
      Buffer.from(Array.from({ length: 90_000 }, (_, i) => `${i},${i * 31}\n`).join("")),
    ],
    [
      "runs of every length",
      Buffer.from(
        Array.from({ length: 600 }, (_, i) => String.fromCharCode(97 + (i % 26)).repeat(i)).join(
          "",
        ),
      ),
    ],
    ["zero bytes", Buffer.alloc(2_000_000)],
    ["one byte", Buffer.from("x")],
    ["nothing", Buffer.alloc(0)],
    ["every byte", Buffer.from(Array.from({ length: 70_000 }, (_, i) => (i * i * 31) & 0xff))],
  ];
  test.each(CONTENTS)(
    "packs %s, and it opens: bzip2 at each level, zip and zlib",
    async (_, content) => {
      const { sessionKey, packet: toPassphrase } = await sessionKeyFor({ password: "secret" });
      for (const [algorithm, level] of [
        ["bzip2", 1],
        ["bzip2", 9],
        ["zip", 6],
        ["zlib", 9],
      ] as const) {
        const args = ["--store", "--compress-algo", algorithm, "-z", `${level}`];
        const sealed = sealHashed(sessionKey, [gpg.run(args, content)]);
        const seen = await outcome(await bytesOf(joined(toPassphrase, sealed)), byPassphrase);
        expect(seen instanceof StageError ? seen.message : seen.equals(content)).toBe(true);
      }
    },
  );

  const keyOf = (curve: string): readonly [block: string, message: Buffer] => {
    const parameters = `Key-Type: ECDSA\nKey-Curve: ${curve}\nSubkey-Type: ECDH\nSubkey-Curve: ${curve}\n`;
    const email = `${curve}@example.org`;
    gpg.run(["--gen-key"], Buffer.from(`${parameters}Name-Email: ${email}\nExpire-Date: 0\n`));
    const block = gpg.run(["--armor", "--export-secret-keys", email]).toString();
    return [block, gpg.run(["--encrypt", "--recipient", email], text)];
  };

  test.each(["nistp256", "nistp521"])("makes keys of %s, and they open", async (curve) => {
    const [block, message] = keyOf(curve);
    const seen = await outcome(message, { privateKeyBlocks: [block], passphrase: "secret" });
    expect(seen instanceof StageError ? seen.message : seen.equals(text)).toBe(true);
  });

  test("makes keys of brainpool curves, which are refused by name", async () => {
    const [block, message] = keyOf("brainpoolP256r1");
    const held = { privateKeyBlocks: [block], passphrase: "secret" };
    expect(await outcome(message, held)).toMatchObject({
      code: "unusable_key",
      seen: "a ecdsa key that is not supported",
    });
  });

  test("opens GnuPG's kind to a passphrase, whose session key is in authenticated pieces too", async () => {
    const sessionKey = randomBytes(32);
    const head = Uint8Array.of(5, enums.symmetric.aes256, enums.aead.ocb);
    const nonce = randomBytes(15);
    // The simplest derivation: one hash of the passphrase.
    const cipher = createCipheriv(
      "aes-256-ocb",
      createHash("sha256").update("secret").digest(),
      nonce,
      {
        authTagLength: 16,
      },
    );
    cipher.setAAD(Buffer.concat([Uint8Array.of(0xc3), head]));
    const encrypted = Buffer.concat([cipher.update(sessionKey), cipher.final()]);
    const toPassphrase = packet(
      3,
      head,
      Uint8Array.of(0, 8),
      nonce,
      encrypted,
      cipher.getAuthTag(),
    );
    const pieces = { mode: "ocb", chunkOctet: 16, isLegacy: true } as const;
    const message = await bytesOf(
      joined(toPassphrase, sealPieces(sessionKey, [literal(text)], pieces)),
    );
    expect(gpg.run(["--decrypt"], message)).toEqual(text);
    expect(await outcome(message, byPassphrase)).toEqual(text);
    const wrong = { ...byPassphrase, passphrase: "Secret" };
    expect(await outcome(message, wrong)).toMatchObject({ code: "bad_passphrase" });
  });

  test("opens what is made by hand here, so that it is what it says", async () => {
    const { sessionKey, packet: toPassphrase } = await sessionKeyFor({ password: "secret" });
    const pieces = { mode: "ocb", chunkOctet: 4, isLegacy: true } as const;
    const message = await bytesOf(
      joined(toPassphrase, sealPieces(sessionKey, [literal(text)], pieces)),
    );
    expect(gpg.run(["--decrypt"], message)).toEqual(text);
    expect(await outcome(message, byPassphrase)).toEqual(text);
  });
});

test("bzip2 data that is damaged anywhere is refused", async () => {
  if (!hasGpg) return;
  using gpg = createGpg("secret");
  const plainOf = (args: readonly string[]): Buffer => gpg.run(["--store", ...args], text);
  const packed = plainOf(["--compress-algo", "bzip2"]);
  const { sessionKey, packet: toPassphrase } = await sessionKeyFor({ password: "secret" });
  const answer = async (content: Uint8Array): Promise<string> => {
    const message = await bytesOf(joined(toPassphrase, sealHashed(sessionKey, [content])));
    const seen = await outcome(message, byPassphrase);
    return seen instanceof StageError ? seen.code : seen.equals(text) ? "same" : "other bytes";
  };
  expect(await answer(packed)).toBe("same");
  const answers = new Map<string, number>();
  for (let i = 0; i < 150; i++) {
    const at = 2 + Math.floor((i * (packed.byteLength - 2)) / 150);
    const damaged = Buffer.from(packed);
    damaged.writeUInt8(damaged.readUInt8(at) ^ (1 << (i & 7)), at);
    const seen = await answer(damaged);
    answers.set(seen, (answers.get(seen) ?? 0) + 1);
  }
  answers.delete("unsupported_algorithm");
  expect([...answers.keys()]).toEqual(["integrity_failed"]);
  expect(await answer(packed.subarray(0, -3))).toBe("integrity_failed");
  expect(await answer(Buffer.concat([packed, Buffer.from("x")]))).toBe("integrity_failed");
});
