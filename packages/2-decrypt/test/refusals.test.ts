import { gzipSync } from "node:zlib";
import { StageError } from "@sluice/errors";
import { armor, createMessage, encrypt, enums, sign } from "openpgp";
import { describe, expect, test } from "vitest";
import { decrypt } from "../src/index.ts";
import { bytesOf, codeOf, newKey, outcome, seal } from "./messages.ts";

const text = Buffer.from("id,name\n1,Ada\n2,Grace\n");
const mine = await newKey("open sesame");
const other = await newKey();
const keys = { privateKeyBlocks: [mine.armored], passphrase: "open sesame" };
const message = await seal(text, { to: mine.key });

const signed = await sign({
  message: await createMessage({ binary: new Uint8Array(text) }),
  signingKeys: other.key,
  format: "binary",
});

describe("what is no encrypted message", () => {
  test.each<[string, Uint8Array]>([
    ["empty", new Uint8Array(0)],
    ["text", text],
    ["gzip", gzipSync(text)],
    ["zip", Buffer.from("PK\x03\x04\x14\0", "latin1")],
    ["Parquet", Buffer.from("PAR1\x15\x04", "latin1")],
    ["a private key", Buffer.from(other.armored)],
    ["a private key", other.key.write()],
    ["a public key", other.key.toPublic().write()],
    ["a public key", Buffer.from(other.key.toPublic().armor())],
    ["an OpenPGP message that is signed or packed but not encrypted", signed],
    ["text", Buffer.from("\u00c1rbol,\u00c9poca\n1,2\n", "utf8").subarray(3)],
    ["binary data of an unknown kind", Buffer.from("\u00c1rbol,\u00c9poca\n1,2\n", "latin1")],
    ["binary data of an unknown kind", Buffer.from("d2ff00112233445566", "hex")],
  ])("is named: %s", async (seen, bytes) => {
    expect(await outcome(bytes, keys)).toMatchObject({ code: "not_encrypted", seen });
  });
});

describe("keys", () => {
  test("that do not match are named beside those that are wanted", async () => {
    const error = await outcome(await seal(text, { to: other.key }), keys);
    if (!(error instanceof StageError)) throw new Error("opened");
    expect(error.code).toBe("no_matching_key");
    const [, wanted = ""] = other.key.getKeys().map((k) => k.getKeyID().toHex().toUpperCase());
    const [held = "", heldSubkey = ""] = mine.key
      .getKeys()
      .map((k) => k.getKeyID().toHex().toUpperCase());
    expect(error.seen).toContain(wanted);
    expect(error.expected).toContain(held);
    expect(error.message).toContain(wanted);
    expect(error.message).toContain(heldSubkey);
  });

  test("that the passphrase does not open are a bad passphrase", async () => {
    expect(await codeOf(message, { ...keys, passphrase: "wrong" })).toBe("bad_passphrase");
    expect(await codeOf(message, { privateKeyBlocks: [mine.armored] })).toBe("bad_passphrase");
  });

  test("of one block are all tried, and those of other blocks", async () => {
    const both = armor(
      enums.armor.privateKey,
      Buffer.concat([other.key.write(), mine.key.write()]),
    );
    const held = { privateKeyBlocks: [both], passphrase: "open sesame" };
    expect(await outcome(message, held)).toEqual(text);
    expect(
      await outcome(message, { ...keys, privateKeyBlocks: [other.armored, mine.armored] }),
    ).toEqual(text);
    const pasted = { ...keys, privateKeyBlocks: [`${other.armored}\n${mine.armored}`] };
    expect(await outcome(message, pasted)).toEqual(text);
  });

  test("that open other messages do not hide that this one's key stays locked", async () => {
    const held = { privateKeyBlocks: [mine.armored, other.armored], passphrase: "wrong" };
    expect(await codeOf(message, held)).toBe("bad_passphrase");
    expect(await outcome(await seal(text, { to: other.key }), held)).toEqual(text);
  });

  test("are unlocked for any number of messages by one transform", async () => {
    const stage = decrypt({ keys });
    for (let i = 0; i < 2; i++) {
      expect(
        await bytesOf(
          stage(
            (async function* () {
              yield message;
            })(),
          ),
        ),
      ).toEqual(text);
    }
  });
});

describe("passphrases", () => {
  test("that are wrong, or not held, are a bad passphrase", async () => {
    const sealed = await seal(text, { password: "secret" });
    const pieces = await seal(text, { password: "secret", config: { aeadProtect: true } });
    for (const bytes of [sealed, pieces]) {
      expect(await codeOf(bytes, { privateKeyBlocks: [], passphrase: "secret" })).toEqual(text);
      expect(await codeOf(bytes, { privateKeyBlocks: [], passphrase: "Secret" })).toBe(
        "bad_passphrase",
      );
      expect(await codeOf(bytes, { privateKeyBlocks: [other.armored] })).toBe("bad_passphrase");
    }
  });

  test("derived with Argon2 have a limit of memory", async () => {
    const sealed = await seal(text, {
      password: "secret",
      config: {
        s2kType: enums.s2k.argon2,
        s2kArgon2Params: { passes: 1, parallelism: 1, memoryExponent: 12 },
      },
    });
    const held = { privateKeyBlocks: [], passphrase: "secret" };
    expect(await codeOf(sealed, held, { maxArgon2MemoryExponent: 12 })).toEqual(text);
    expect(await codeOf(sealed, held, { maxArgon2MemoryExponent: 11 })).toBe("limit_exceeded");
  });
});

describe("messages", () => {
  test("without integrity protection are refused unread", async () => {
    const sessionKey = message.subarray(0, 2 + (message[1] ?? 0));
    const unprotected = Buffer.concat([sessionKey, Uint8Array.of(0xc9, 40), Buffer.alloc(40, 7)]);
    expect(await codeOf(unprotected, keys)).toBe("no_integrity_protection");
  });

  test.each([
    [10, 10, undefined],
    [11, 10, "limit_exceeded"],
  ])("of %i recipients are taken up to maxRecipients = %i", async (count, maxRecipients, code) => {
    const sessionKey = message.subarray(0, 2 + (message[1] ?? 0));
    const more = Buffer.concat([...Array<Uint8Array>(count - 1).fill(sessionKey), message]);
    expect(await codeOf(more, keys, { maxRecipients })).toEqual(code ?? text);
  });

  test.each([
    [text.byteLength, undefined],
    [text.byteLength - 1, "limit_exceeded"],
  ])("are taken up to maxOutputBytes = %i", async (maxOutputBytes, code) => {
    expect(await codeOf(message, keys, { maxOutputBytes })).toEqual(code ?? text);
  });

  test("that unpack to much more stop at maxOutputBytes", async () => {
    const bomb = await encrypt({
      message: await createMessage({ binary: new Uint8Array(20_000_000) }),
      encryptionKeys: mine.key.toPublic(),
      config: { preferredCompressionAlgorithm: enums.compression.zlib },
      format: "binary",
    });
    expect(bomb.byteLength).toBeLessThan(100_000);
    expect(await codeOf(bomb, keys, { maxOutputBytes: 1_000_000 })).toBe("limit_exceeded");
  });

  test("of no bytes hold no bytes", async () => {
    expect(await codeOf(await seal(new Uint8Array(0), { to: mine.key }), keys)).toEqual(
      Buffer.alloc(0),
    );
  });
});
