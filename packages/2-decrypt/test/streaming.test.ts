import { randomBytes } from "node:crypto";
import { chunked, probe } from "@sluice/streams/testing";
import { createMessage, encrypt, enums, type PartialConfig } from "openpgp";
import { describe, expect, test } from "vitest";
import { decrypt } from "../src/index.ts";
import { newKey, seal } from "./messages.ts";

const { armored, key } = await newKey();
const keys = { privateKeyBlocks: [armored] };
const PIECE = randomBytes(2 ** 18);

/** A message of `pieces` x 256 KiB of random bytes, encrypted as it is read: partial lengths throughout. */
async function endless(pieces: number, config: PartialConfig): Promise<AsyncIterable<Uint8Array>> {
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
    config,
    format: "binary",
  });
  return (async function* () {
    const reader = stream.getReader();
    for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value;
  })();
}

describe("streaming", () => {
  test.each<[string, PartialConfig]>([
    ["a hash at the end", {}],
    ["a hash at the end, compressed", { preferredCompressionAlgorithm: enums.compression.zlib }],
    ["authenticated pieces", { aeadProtect: true }],
  ])(
    "keeps memory flat over 200 MiB with %s",
    async (_, config) => {
      let size = 0;
      let settled = 0;
      let peak = 0;
      for await (const chunk of decrypt({ keys })(await endless(800, config))) {
        size += chunk.byteLength;
        const rss = process.memoryUsage.rss();
        if (size < 2 ** 25) settled = Math.max(settled, rss);
        else peak = Math.max(peak, rss);
      }
      expect(size).toBe(800 * PIECE.byteLength);
      expect(peak - settled).toBeLessThan(100 * 2 ** 20);
    },
    60_000,
  );

  test("gives the first bytes long before it has read the last", async () => {
    const message = await seal(randomBytes(4_000_000), { to: key });
    const source = probe(chunked(message, 65_536));
    for await (const _ of decrypt({ keys })(source)) {
      expect(source.pulled).toBeLessThan(30);
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
