import { randomBytes } from "node:crypto";
import { chunked, probe } from "@sluice/streams/testing";
import { createMessage, encrypt } from "openpgp";
import { describe, expect, test } from "vitest";
import { decrypt } from "../src/index.ts";
import {
  joined,
  literalOf,
  sealHashed,
  sealPieces,
  sessionKeyFor,
  zippedOf,
} from "./made-messages.ts";
import { newKey, seal } from "./messages.ts";

const { armored, key } = await newKey();
const keys = { privateKeyBlocks: [armored] };
const PIECE = randomBytes(2 ** 18);
const TEXT = Buffer.from("id,name\n1,Ada\n".repeat(2 ** 15)).subarray(0, 2 ** 18);
const signers = (name: string): string[] =>
  name === "a signature" ? [key.toPublic().armor()] : [];

/** A signed message of `pieces` x 256 KiB of random bytes, signed and encrypted as it is read. */
async function endlessSigned(pieces: number): Promise<AsyncIterable<Uint8Array>> {
  let left = pieces;
  const binary = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        if (left-- > 0) controller.enqueue(new Uint8Array(PIECE));
        else controller.close();
      },
    },
    { highWaterMark: 0 },
  );
  const stream = await encrypt({
    message: await createMessage({ binary }),
    encryptionKeys: key.toPublic(),
    signingKeys: key,
    format: "binary",
  });
  return (async function* () {
    const reader = stream.getReader();
    for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value;
  })();
}

/** A message of `pieces` x 256 KiB of random bytes or of text, made as it is read: partial lengths throughout. */
async function endless(name: string, pieces: number): Promise<AsyncIterable<Uint8Array>> {
  if (name === "a signature") return await endlessSigned(pieces);
  const isAead = name.includes("pieces");
  const sealed = await sessionKeyFor({ key: key.toPublic() }, isAead);
  const packets = name.includes("packed") ? zippedOf(TEXT, pieces) : literalOf(PIECE, pieces);
  const data = isAead
    ? sealPieces(sealed.sessionKey, packets, { mode: "ocb", chunkOctet: 16 })
    : sealHashed(sealed.sessionKey, packets);
  return joined(sealed.packet, data);
}

describe("streaming", () => {
  test.each([
    ["a hash at the end", 1024],
    ["a hash at the end, packed", 1024],
    ["authenticated pieces of 4 MiB", 1024],
    ["a signature", 400],
  ])("keeps memory flat with %s over %i x 256 KiB", async (name, pieces) => {
    let size = 0;
    let settled = 0;
    let peak = 0;
    const stage = decrypt({ keys: { ...keys, signerPublicKeys: signers(name) } });
    for await (const chunk of stage(await endless(name, pieces))) {
      size += chunk.byteLength;
      const rss = process.memoryUsage.rss();
      if (size < 2 ** 25) settled = Math.max(settled, rss);
      else peak = Math.max(peak, rss);
    }
    expect(size).toBe(pieces * PIECE.byteLength);
    expect(peak - settled).toBeLessThan(100 * 2 ** 20);
  });

  test("gives the first bytes long before it has read the last", async () => {
    const message = await seal(randomBytes(4_000_000), { to: key });
    const source = probe(chunked(message, 65_536));
    for await (const _ of decrypt({ keys })(source)) {
      expect(source.pulled).toBeLessThan(30);
      break;
    }
    expect(source.closed).toBe(true);
  });

  test("reads a message that is packed by the reader's pull too", async () => {
    const source = probe(await endless("a hash at the end, packed", 4096));
    for await (const _ of decrypt({ keys })(source)) {
      expect(source.pulled).toBeLessThan(10);
      break;
    }
    expect(source.closed).toBe(true);
  });

  test("does not read on while nobody reads it", async () => {
    const message = await seal(randomBytes(4_000_000), { to: key });
    const source = probe(chunked(message, 65_536));
    const output = decrypt({ keys })(source)[Symbol.asyncIterator]();
    await output.next();
    for (let turn = 0; turn < 200; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(source.pulled).toBeLessThan(40);
    await output.return?.();
  });
});
