import type { PgpKeys } from "@sluice/schema";
import { countedMemory } from "@sluice/streams/testing";
import { enums } from "openpgp";
import { describe, expect, test } from "vitest";
import { type DecryptOptions, decrypt } from "../src/index.ts";
import { joined, literal, packet, sealHashed, sessionKeyFor, zipped } from "./made-messages.ts";
import { bytesOf, newKey, outcome } from "./messages.ts";

const text = Buffer.from("id,name\n1,Ada\n2,Grace\n".repeat(20));
const mine = await newKey();
const other = await newKey();
const held: PgpKeys = { privateKeyBlocks: [mine.armored], passphrase: "secret" };
const toKey = await sessionKeyFor({ key: mine.key.toPublic() });
const toOther = await sessionKeyFor({ key: other.key.toPublic() });
const toPassphrase = await sessionKeyFor({ password: "secret" });

/** A SEIPD 1 message that holds these packets. */
const holding = async (packets: readonly Uint8Array[], to = toKey): Promise<Buffer> =>
  await bytesOf(joined(to.packet, sealHashed(to.sessionKey, packets)));

const plain = await holding([literal(text)]);
const data = plain.subarray(toKey.packet.byteLength);
/** Passphrase recipients that openpgp.js would work for ever on, or with all of the memory. */
const skesk = (s2k: readonly number[]): Buffer =>
  packet(3, Uint8Array.of(4, enums.symmetric.aes256, ...s2k));
const iterated = (octet: number): Buffer => skesk([3, 8, ...Array<number>(8).fill(7), octet]);
// Attack G1.
describe("limits hold to the byte:", () => {
  const nested = (layers: number): Buffer => {
    let content = literal(text);
    for (let i = 1; i < layers; i++) content = zipped(content);
    return content;
  };
  const markers = (count: number): Uint8Array[] =>
    Array<Uint8Array>(count).fill(packet(10, Buffer.from("PGP")));
  const CASES: readonly (readonly [
    option: keyof DecryptOptions,
    limit: number,
    make: (size: number) => Promise<Uint8Array>,
  ])[] = [
    ["maxOutputBytes", 3000, async (size) => await holding([literal(Buffer.alloc(size))])],
    ["maxOutputBytes", 3001, async (size) => await holding([zipped(literal(Buffer.alloc(size)))])],
    ["maxNestedDepth", 3, async (size) => await holding([nested(size)])],
    // The packet of the session key, that of the data, and the literal data count too.
    ["maxPackets", 10, async (size) => await holding([...markers(size - 3), literal(text)])],
    [
      "maxRecipients",
      4,
      async (size) => Buffer.concat([...Array<Uint8Array>(size - 1).fill(toOther.packet), plain]),
    ],
    [
      "maxPassphraseTries",
      3,
      async (size) => {
        const wrong = (await sessionKeyFor({ password: "wrong" })).packet;
        const right = await holding([literal(text)], toPassphrase);
        return Buffer.concat([...Array<Uint8Array>(size - 1).fill(wrong), right]);
      },
    ],
  ];
  test.each(CASES)("%s = %i", async (option, limit, make) => {
    for (const [size, isTaken] of [
      [limit - 1, true],
      [limit, true],
      [limit + 1, false],
    ] as const) {
      const seen = await outcome(await make(size), held, { [option]: limit });
      if (isTaken) expect(seen, `${option} with ${size}`).toBeInstanceOf(Buffer);
      else
        expect(seen).toMatchObject({
          code: "limit_exceeded",
          rawMessage: expect.stringContaining(`${option} = ${limit}`),
        });
    }
  });

  test("ratioFromBytes = 50,000, and from there on maxRatio", async () => {
    // 22 octets of header come out too.
    const content = (size: number): Buffer => zipped(literal(Buffer.alloc(size - 22)));
    const limits = { ratioFromBytes: 50_000, maxRatio: 2 };
    for (const size of [49_999, 50_000]) {
      expect(await outcome(await holding([content(size)]), held, limits)).toBeInstanceOf(Buffer);
    }
    const packed = content(50_001);
    const message = await holding([packed]);
    const ratio = 50_001 / packed.byteLength;
    expect(await outcome(message, held, { ...limits, maxRatio: Math.ceil(ratio) })).toBeInstanceOf(
      Buffer,
    );
    for (const maxRatio of [2, Math.floor(ratio)]) {
      expect(await outcome(message, held, { ...limits, maxRatio })).toMatchObject({
        code: "limit_exceeded",
        rawMessage: expect.stringMatching(`maxRatio = ${maxRatio} .*ratioFromBytes = 50000`),
      });
    }
  });

  test("maxBzip2Ratio, which is another one than deflate's", async () => {
    // 100,000 zero bytes as literal data, packed by the bzip2 of Python.
    const packed = [
      "425a6839314159265359739061c600031ad1cce0100041922401000100400000080008a00050a600",
      "09a054a203236a28413374209f59104c5b9c60abeb5af6ab2209f7e2ee48a70a120e720c38c0",
    ].join("");
    const message = await holding([packet(8, Uint8Array.of(3), Buffer.from(packed, "hex"))]);
    const limits = { ratioFromBytes: 50_000, maxRatio: 2 };
    expect(await outcome(message, held, limits)).toEqual(Buffer.alloc(100_000));
    expect(await outcome(message, held, { ...limits, maxBzip2Ratio: 700 })).toMatchObject({
      code: "limit_exceeded",
      rawMessage: expect.stringContaining("maxBzip2Ratio = 700"),
    });
  });

  test.each([
    [1, 11, undefined],
    [1, 12, undefined],
    [1, 13, "limit_exceeded"],
    [16, 8, undefined],
    [17, 8, "limit_exceeded"],
  ])("%i passes of Argon2 with 2^%i KiB", async (passes, exponent, code) => {
    const s2k = [4, ...Array<number>(16).fill(7), passes, 1, exponent];
    const seen = await outcome(Buffer.concat([skesk(s2k), data]), held, {
      maxArgon2MemoryExponent: 12,
    });
    expect(seen).toMatchObject({ code: code ?? "bad_passphrase" });
  });

  test("Argon2's memory is held while it runs, and refused where a task may not hold it", async () => {
    const s2k = [4, ...Array<number>(16).fill(7), 1, 1, 12];
    const message = Buffer.concat([skesk(s2k), data]);
    const memory = countedMemory();
    expect(await outcome(message, held, { memory })).toMatchObject({ code: "bad_passphrase" });
    expect(memory).toMatchObject({ held: 0, peak: 4 * 2 ** 20 });
    const tight = countedMemory(2 ** 20);
    expect(await outcome(message, held, { memory: tight })).toMatchObject({
      code: "limit_exceeded",
      rawMessage: expect.stringContaining("maxBytes = 1048576"),
    });
  });

  test.each([
    [95, undefined],
    [96, undefined],
    [97, "limit_exceeded"],
  ])("maxS2kIterationCount = 65,536 and the octet %i", async (octet, code) => {
    const seen = await outcome(Buffer.concat([iterated(octet), data]), held, {
      maxS2kIterationCount: 65_536,
    });
    expect(seen).toMatchObject({ code: code ?? "bad_passphrase" });
  });

  test("more memory for Argon2 than 1 GiB is no limit", async () => {
    expect(() => decryptWith(21)).toThrow("maxArgon2MemoryExponent");
    expect(() => decryptWith(20)).not.toThrow();
    expect(() => decryptWith(-1)).toThrow(RangeError);
  });
});

const decryptWith = (maxArgon2MemoryExponent: number): unknown =>
  decrypt({ keys: held, maxArgon2MemoryExponent });
