import { StageError } from "@sluice/errors";
import type { PgpKeys } from "@sluice/schema";
import { armor, createMessage, encrypt, enums } from "openpgp";
import { describe, expect, test } from "vitest";
import { newKey, outcome, seal } from "./messages.ts";

const text = Buffer.from("id,name\n1,Ada\n2,Grace\n".repeat(4));
const { armored, key } = await newKey();
const keys: PgpKeys = { privateKeyBlocks: [armored], passphrase: "secret" };
const signedBy: PgpKeys = { ...keys, signerPublicKeys: [key.toPublic().armor()] };
const toKey = await seal(text, { to: key });
const samples: readonly (readonly [string, Uint8Array, PgpKeys])[] = [
  ["a hash at the end", toKey, keys],
  ["a hash at the end, armored", Buffer.from(armor(enums.armor.message, toKey).trimEnd()), keys],
  [
    "a hash at the end, compressed",
    await seal(text, {
      to: key,
      config: { preferredCompressionAlgorithm: enums.compression.zlib },
    }),
    keys,
  ],
  [
    "a hash at the end, to a passphrase",
    await seal(text, { password: "secret", config: { s2kIterationCountByte: 0 } }),
    keys,
  ],
  [
    "authenticated pieces",
    await seal(text, {
      password: "secret",
      config: { aeadProtect: true, aeadChunkSizeByte: 0, s2kIterationCountByte: 0 },
    }),
    keys,
  ],
  [
    "a signature",
    await encrypt({
      message: await createMessage({ binary: new Uint8Array(text) }),
      encryptionKeys: key.toPublic(),
      signingKeys: key,
      config: { preferredCompressionAlgorithm: enums.compression.zip },
      format: "binary",
    }),
    signedBy,
  ],
];

/** Numbers that look random and are the same each time (xorshift). */
function* seeded(seed: number): Generator<number, never> {
  for (let state = seed; ; ) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    yield state >>> 0;
  }
}

describe.each(samples)("a message with %s", (name, message, held) => {
  test("is not short but truncated, at whichever byte it is cut", async () => {
    expect(await outcome(message, held)).toEqual(text);
    const codes = new Map<string, number>();
    for (let cut = 0; cut < message.byteLength; cut++) {
      const seen = await outcome(message.subarray(0, cut), held);
      if (!(seen instanceof StageError)) throw new Error(`opened when cut at ${cut}`);
      codes.set(seen.code, (codes.get(seen.code) ?? 0) + 1);
    }
    // The first bytes alone are no message yet.
    expect(codes.get("not_encrypted")).toBeLessThan(40);
    codes.delete("not_encrypted");
    expect([...codes.keys()]).toEqual(["truncated"]);
  });

  test("is refused with any of 200 bits flipped, or means the same", async () => {
    const random = seeded(name.length * 7919);
    let same = 0;
    for (let i = 0; i < 200; i++) {
      const bit = random.next().value % (message.byteLength * 8);
      const damaged = Buffer.from(message);
      damaged.writeUInt8(damaged.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      const seen = await outcome(damaged, held);
      if (seen instanceof StageError) continue;
      expect(seen.equals(text), `bit ${bit}`).toBe(true);
      same++;
    }
    // An armor's checksum and headers, and a number's bit count, may change without a meaning.
    expect(same).toBeLessThan(25);
  });
});

test.each([
  ["another message", toKey],
  ["a line end", Buffer.from("\n")],
  ["zero bytes", Buffer.alloc(10)],
])("refuses %s after the message", async (_, more) => {
  expect(await outcome(Buffer.concat([toKey, more]), keys)).toMatchObject({
    code: "integrity_failed",
    rawMessage: "Something follows the message: one message to a file.",
  });
});

test("refuses an armored message that another follows, and takes blank lines", async () => {
  const one = armor(enums.armor.message, toKey);
  expect(await outcome(Buffer.from(`\r\n${one}\r\n \n`), keys)).toEqual(text);
  expect(await outcome(Buffer.from(one + one), keys)).toMatchObject({ code: "integrity_failed" });
});
