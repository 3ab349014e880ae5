import { StageError } from "@sluice/errors";
import { armor, enums } from "openpgp";
import { describe, expect, test } from "vitest";
import { newKey, outcome, seal } from "./messages.ts";

const text = Buffer.from("id,name\n1,Ada\n2,Grace\n".repeat(12));
const { armored, key } = await newKey();
const keys = { privateKeyBlocks: [armored], passphrase: "secret" };
const toKey = await seal(text, { to: key });
const samples: readonly (readonly [string, Uint8Array])[] = [
  ["a key", toKey],
  ["a key, armored", Buffer.from(armor(enums.armor.message, toKey).trimEnd())],
  [
    "a key, compressed",
    await seal(text, {
      to: key,
      config: { preferredCompressionAlgorithm: enums.compression.zlib },
    }),
  ],
  [
    "a passphrase, authenticated in pieces",
    await seal(text, {
      password: "secret",
      config: { aeadProtect: true, aeadChunkSizeByte: 0, s2kIterationCountByte: 0 },
    }),
  ],
];

describe.each(samples)("a message to %s", (_, message) => {
  test("is not short but truncated, wherever it is cut", async () => {
    expect(await outcome(message, keys)).toEqual(text);
    const codes = new Map<string, number>();
    for (let cut = 1; cut < message.byteLength; cut += 3) {
      const seen = await outcome(message.subarray(0, cut), keys);
      if (!(seen instanceof StageError)) throw new Error(`opened when cut at ${cut}`);
      codes.set(seen.code, (codes.get(seen.code) ?? 0) + 1);
    }
    // The first bytes alone are no message yet.
    codes.delete("not_encrypted");
    expect([...codes.keys()]).toEqual(["truncated"]);
  }, 60_000);

  test("is refused with any of 120 bits flipped, or means the same", async () => {
    let same = 0;
    for (let i = 0; i < 120; i++) {
      const bit = Math.floor((i * message.byteLength * 8) / 120);
      const damaged = Buffer.from(message);
      damaged.writeUInt8(damaged.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      const seen = await outcome(damaged, keys, { stallTimeoutMs: 250 });
      if (seen instanceof StageError) continue;
      expect(seen.equals(text), `bit ${bit}`).toBe(true);
      same++;
    }
    // An armor's checksum and a number's bit count may change without a meaning.
    expect(same).toBeLessThan(15);
  }, 60_000);
});

test("gives one code and one text for all damage inside the encryption", async () => {
  const start = toKey.byteLength - text.byteLength - 30;
  const answers = new Set<string>();
  for (let at = start; at < toKey.byteLength; at += 9) {
    const damaged = Buffer.from(toKey);
    damaged.writeUInt8(damaged.readUInt8(at) ^ 0x10, at);
    const seen = await outcome(damaged, keys, { stallTimeoutMs: 250 });
    answers.add(seen instanceof StageError ? seen.message : "opened");
  }
  expect([...answers]).toEqual([
    "[decrypt/integrity_failed] The message fails its integrity check.",
  ]);
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
