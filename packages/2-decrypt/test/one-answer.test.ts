import { StageError } from "@sluice/errors";
import type { PgpKeys } from "@sluice/schema";
import { describe, expect, test } from "vitest";
import { joined, literal, sealHashed, sealPieces, sessionKeyFor, zipped } from "./made-messages.ts";
import { bytesOf, newKey, outcome } from "./messages.ts";

const text = Buffer.from("id,name\n1,Ada\n2,Grace\n".repeat(20));
const mine = await newKey();
const held: PgpKeys = { privateKeyBlocks: [mine.armored] };
const toKey = await sessionKeyFor({ key: mine.key.toPublic() });
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
// Attack G2.
describe("damage inside the encryption", () => {
  const samples: readonly (readonly [string, () => Promise<Buffer>, number])[] = [
    ["a hash at the end", () => holding([literal(text)]), toKey.packet.byteLength],
    ["a hash at the end, packed", () => holding([zipped(literal(text))]), toKey.packet.byteLength],
    ["pieces", () => inPieces([literal(text)]), toKeyAead.packet.byteLength + 4],
    ["pieces, packed", () => inPieces([zipped(literal(text))]), toKeyAead.packet.byteLength + 4],
  ];

  test.each(samples)("of %s has one answer, whatever it came to", async (_, made, headBytes) => {
    const message = await made();
    const from = headBytes + 7;
    const answers = new Set<string>();
    for (let i = 0; i < 20; i++) {
      const at = from + Math.floor((i * (message.byteLength - from)) / 20);
      for (let bit = 0; bit < 8; bit++) {
        const damaged = Buffer.from(message);
        damaged.writeUInt8(damaged.readUInt8(at) ^ (1 << bit), at);
        const seen = await outcome(damaged, held);
        if (!(seen instanceof StageError))
          throw new Error(`opened with bit ${bit} of ${at} flipped`);
        const { coordinate, ...failure } = seen.toFailure();
        answers.add(JSON.stringify(failure));
      }
    }
    expect([...answers]).toHaveLength(1);
    expect([...answers][0]).toContain("integrity_failed");
  });

  test("says how far the message was read, and that is its whole where a hash is at the end", async () => {
    const offsets = new Set<number | undefined>();
    for (let at = toKey.packet.byteLength + 10; at < plain.byteLength; at += 40) {
      const seen = await outcome(flipped(plain, at), held);
      if (!(seen instanceof StageError)) throw new Error("opened");
      offsets.add(seen.coordinate.layers?.[0]?.offset);
    }
    expect([...offsets]).toEqual([plain.byteLength]);
  });
});
