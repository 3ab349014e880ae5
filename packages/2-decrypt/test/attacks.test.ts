import { deflateRawSync } from "node:zlib";
import { StageError } from "@sluice/errors";
import type { PgpKeys } from "@sluice/schema";
import { armor, createCleartextMessage, createMessage, enums, sign } from "openpgp";
import { describe, expect, test } from "vitest";
import { type DecryptOptions, inspectPrivateKeys } from "../src/index.ts";
import {
  joined,
  literal,
  packet,
  sealHashed,
  sealPieces,
  sessionKeyFor,
  zipped,
} from "./made-messages.ts";
import { bytesOf, newKey, outcome } from "./messages.ts";

const text = Buffer.from("id,name\n1,Ada\n2,Grace\n".repeat(20));
const mine = await newKey();
const other = await newKey();
const held: PgpKeys = { privateKeyBlocks: [mine.armored], passphrase: "secret" };
const toKey = await sessionKeyFor({ key: mine.key.toPublic() });
const toOther = await sessionKeyFor({ key: other.key.toPublic() });
const toPassphrase = await sessionKeyFor({ password: "secret" });
const toKeyAead = await sessionKeyFor({ key: mine.key.toPublic() }, true);

/** A SEIPD 1 message that holds these packets. */
const holding = async (packets: readonly Uint8Array[], to = toKey): Promise<Buffer> =>
  await bytesOf(joined(to.packet, sealHashed(to.sessionKey, packets)));

/** A SEIPD 2 message that holds these packets. */
const inPieces = async (packets: readonly Uint8Array[], isCut = false): Promise<Buffer> =>
  await bytesOf(
    joined(
      toKeyAead.packet,
      sealPieces(toKeyAead.sessionKey, packets, { mode: "ocb", chunkOctet: 0, isCut }),
    ),
  );

const plain = await holding([literal(text)]);
const flipped = (bytes: Uint8Array, at: number): Buffer => {
  const damaged = Buffer.from(bytes);
  damaged.writeUInt8(damaged.readUInt8(at) ^ 0x10, at);
  return damaged;
};
/** Passphrase recipients that openpgp.js would work for ever on, or with all of the memory. */
const skesk = (s2k: readonly number[]): Buffer =>
  packet(3, Uint8Array.of(4, enums.symmetric.aes256, ...s2k));
const argon2 = (memoryExponent: number): Buffer =>
  skesk([4, ...Array<number>(16).fill(7), 1, 4, memoryExponent]);
const iterated = (octet: number): Buffer => skesk([3, 8, ...Array<number>(8).fill(7), octet]);
const data = plain.subarray(toKey.packet.byteLength);

/** Each row: what is sent, what it is answered with, a word of the answer, and options. */
const ROWS: readonly (readonly [
  name: string,
  bytes: () => Uint8Array | Promise<Uint8Array>,
  code: string,
  words: string,
  options?: Omit<DecryptOptions, "keys">,
])[] = [
  [
    "no integrity protection",
    () => Buffer.concat([toKey.packet, packet(9, Buffer.alloc(80, 7))]),
    "no_integrity_protection",
    "without integrity protection",
  ],
  [
    "no integrity protection, without a length",
    () => Buffer.concat([toKey.packet, Uint8Array.of(0xa7), Buffer.alloc(80, 7)]),
    "no_integrity_protection",
    "without integrity protection",
  ],
  [
    "an altered hash at the end",
    () => flipped(plain, plain.byteLength - 3),
    "integrity_failed",
    "fails its integrity check",
  ],
  [
    "the hash's header altered",
    () => flipped(plain, plain.byteLength - 22),
    "integrity_failed",
    "fails its integrity check",
  ],
  ["the last 10 bytes cut", () => plain.subarray(0, -10), "truncated", "ends before its end"],
  [
    "the last 10 bytes cut, and the length made to fit",
    async () => Buffer.concat([toKey.packet, packet(18, (await unframed(data)).subarray(0, -10))]),
    "integrity_failed",
    "fails its integrity check",
  ],
  [
    "the hash left out",
    async () => Buffer.concat([toKey.packet, packet(18, (await unframed(data)).subarray(0, -22))]),
    "integrity_failed",
    "fails its integrity check",
  ],
  [
    "data of less than a prefix and a hash",
    () => Buffer.concat([toKey.packet, packet(18, Uint8Array.of(1), Buffer.alloc(25))]),
    "integrity_failed",
    "fails its integrity check",
  ],
  [
    "the tag at the end of pieces cut",
    () => inPieces([literal(text)], true),
    "integrity_failed",
    "fails its integrity check",
  ],
  [
    "pieces that are data of the older kind",
    async () => Buffer.concat([toKeyAead.packet, data]),
    "integrity_failed",
    "of another version",
  ],
  ["another key", () => holding([literal(text)], toOther), "no_matching_key", "held are"],
  [
    "another passphrase",
    async () => await holding([literal(text)], await sessionKeyFor({ password: "Secret" })),
    "bad_passphrase",
    "does not open the message",
  ],
  [
    "literal data without a length that would eat the hash",
    () => holding([Uint8Array.of(0xaf), Buffer.from("b\0\0\0\0\0more"), Buffer.alloc(30, 1)]),
    "plaintext",
    "",
  ],
  [
    "a hash inside literal data without a length, and none after it",
    async () => {
      const inside = Buffer.concat([
        Uint8Array.of(0xaf),
        Buffer.from("b\0\0\0\0\0"),
        Buffer.alloc(60),
      ]);
      const message = await holding([inside]);
      return flipped(message, message.byteLength - 1);
    },
    "integrity_failed",
    "fails its integrity check",
  ],
  [
    "two messages",
    () => Buffer.concat([plain, plain]),
    "integrity_failed",
    "one message to a file",
  ],
  [
    "two messages inside the encryption",
    () => holding([literal(text), literal(text)]),
    "integrity_failed",
    "holds is damaged or no OpenPGP data",
  ],
  [
    "bytes after packed data",
    () =>
      holding([packet(8, Uint8Array.of(1), deflateRawSync(literal(text)), Buffer.from("more"))]),
    "integrity_failed",
    "holds is damaged or no OpenPGP data",
  ],
  [
    "packed data that is cut",
    () => holding([packet(8, Uint8Array.of(1), deflateRawSync(literal(text)).subarray(0, -4))]),
    "integrity_failed",
    "holds is damaged or no OpenPGP data",
  ],
  [
    "text inside the encryption",
    () => holding([text]),
    "integrity_failed",
    "holds is damaged or no OpenPGP data",
  ],
  [
    "nothing inside the encryption",
    () => holding([]),
    "integrity_failed",
    "holds is damaged or no OpenPGP data",
  ],
  [
    "a private key inside the encryption",
    () => holding([mine.key.write()]),
    "integrity_failed",
    "holds is damaged or no OpenPGP data",
  ],
  [
    "a message inside the encryption",
    () => holding([plain]),
    "unsupported_algorithm",
    "inside the encrypted message",
  ],
  [
    "packed data of an unknown kind",
    () => holding([packet(8, Uint8Array.of(9, 1, 2, 3))]),
    "unsupported_algorithm",
    "Compression algorithm 9",
  ],
  ["signed only", async () => await signedOnly(), "not_encrypted", "not encrypted"],
  ["packed only", () => zipped(literal(text)), "not_encrypted", "not encrypted"],
  ["clear text that is signed", async () => await clearText(), "not_encrypted", "a signed text"],
  ["clear text", () => text, "not_encrypted", "text"],
  ["a private key", () => Buffer.from(mine.armored), "not_encrypted", "a private key"],
  ["a private key in binary", () => mine.key.write(), "not_encrypted", "a private key"],
  ["a public key", () => Buffer.from(mine.key.toPublic().armor()), "not_encrypted", "a public key"],
  [
    "10,000 recipients",
    () => Buffer.concat([...Array<Uint8Array>(10_000).fill(toOther.packet), data]),
    "limit_exceeded",
    "maxRecipients = 256",
  ],
  [
    "more packets than anybody needs",
    () => Buffer.concat([...Array<Uint8Array>(2000).fill(packet(10, Buffer.from("PGP"))), plain]),
    "limit_exceeded",
    "maxPackets = 1000",
  ],
  [
    "more packets than anybody needs inside the encryption",
    () => holding([...Array<Uint8Array>(2000).fill(packet(10, Buffer.from("PGP"))), literal(text)]),
    "limit_exceeded",
    "maxPackets = 1000",
  ],
  [
    "2^30 KiB of memory for a passphrase",
    () => Buffer.concat([argon2(30), data]),
    "limit_exceeded",
    "maxArgon2MemoryExponent = 18",
  ],
  [
    "more hashing for a passphrase than is allowed",
    () => Buffer.concat([iterated(255), data]),
    "limit_exceeded",
    "maxS2kIterationCount = 1000000",
    { maxS2kIterationCount: 1_000_000 },
  ],
  [
    "the most hashing that can be written",
    () => Buffer.concat([iterated(255), data]),
    "bad_passphrase",
    "does not open",
  ],
  [
    "data that unpacks a thousand times",
    () => holding([zipped(literal(Buffer.alloc(2_000_000)))]),
    "limit_exceeded",
    "maxRatio = 100",
    { maxRatio: 100, ratioFromBytes: 1_000_000 },
  ],
  [
    "packets without data that unpack a thousand times",
    () => holding([zipped(packet(21, Buffer.alloc(2_000_000)))]),
    "limit_exceeded",
    "maxRatio = 100",
    { maxRatio: 100, ratioFromBytes: 1_000_000 },
  ],
  [
    "packed data in packed data and so on",
    () => holding([zipped(zipped(zipped(zipped(zipped(literal(text))))))]),
    "limit_exceeded",
    "maxNestedDepth = 4",
  ],
  ["a file name that climbs", () => plain, "plaintext", ""],
];

async function unframed(dataPacket: Uint8Array): Promise<Buffer> {
  // Of less than 1 MiB: one tag, and a length of five octets.
  return Buffer.from(dataPacket.subarray(6));
}

async function signedOnly(): Promise<Uint8Array> {
  return await sign({
    message: await createMessage({ binary: new Uint8Array(text) }),
    signingKeys: mine.key,
    format: "binary",
  });
}

async function clearText(): Promise<Uint8Array> {
  const message = await createCleartextMessage({ text: text.toString() });
  return Buffer.from(await sign({ message, signingKeys: mine.key }));
}

// Attacks G1, B6.
describe("is answered as it must be:", () => {
  for (const [name, bytes, code, words, options] of ROWS) {
    test(name, async () => {
      const seen = await outcome(await bytes(), held, options ?? {});
      if (!(seen instanceof StageError)) {
        expect(code).toBe("plaintext");
        return;
      }
      expect(seen.code).toBe(code);
      expect(seen.message).toContain(words);
      expect(seen.message).not.toContain("Ada");
      expect(seen.message).not.toContain("secret");
    });
  }

  test("a passphrase where a key is expected", async () => {
    const message = await holding([literal(text)], toPassphrase);
    expect(await outcome(message, held)).toEqual(text);
    expect(await outcome(message, { privateKeyBlocks: [mine.armored] })).toMatchObject({
      code: "bad_passphrase",
      seen: "a message encrypted to a passphrase",
    });
  });

  test("a key of version 6 with the curve of older keys", async () => {
    // RFC 9580, 5.5.5.5 forbids it: the algorithm of ECDH with Curve25519's old identifier.
    const oid = Buffer.from("2b060104019755010501", "hex");
    const point = Buffer.concat([Uint8Array.of(0x01, 0x07, 0x40), Buffer.alloc(32, 9)]);
    const material = Buffer.concat([
      Uint8Array.of(oid.byteLength),
      oid,
      point,
      Uint8Array.of(3, 1, 8, 7),
    ]);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(material.byteLength);
    const key = packet(
      5,
      Uint8Array.of(6, 0x66, 0, 0, 0, 18),
      length,
      material,
      Uint8Array.of(0),
      Buffer.from("00ff", "hex"),
      Buffer.alloc(32, 5),
    );
    const block = armor(enums.armor.privateKey, key);
    await expect(inspectPrivateKeys([block])).rejects.toMatchObject({ code: "unusable_key" });
    expect(await outcome(plain, { privateKeyBlocks: [block] })).toMatchObject({
      code: "unusable_key",
    });
  });

  test("recipients that are hidden, and a key for none of them", async () => {
    const hidden = Buffer.from(toOther.packet);
    hidden.fill(0, 3, 11);
    const message = Buffer.concat([...Array<Uint8Array>(5).fill(hidden), data]);
    for (const maxPrivateKeyTries of [6, 5]) {
      expect(await outcome(message, held, { maxPrivateKeyTries })).toMatchObject({
        code: "integrity_failed",
      });
    }
    expect(await outcome(message, held, { maxPrivateKeyTries: 4 })).toMatchObject({
      code: "limit_exceeded",
      rawMessage: expect.stringContaining("maxPrivateKeyTries = 4"),
    });
  });
});
