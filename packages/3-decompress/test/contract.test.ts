import { randomBytes } from "node:crypto";
import { brotliCompressSync, deflateSync } from "node:zlib";
import { chunked, probe, stageContract } from "@sluice/streams/testing";
import { describe, expect, test } from "vitest";
import { decompress } from "../src/index.ts";
import { rows, SAMPLES } from "./samples.ts";

const collect = (chunks: Uint8Array[]): Buffer => Buffer.concat(chunks);

// Formats of several members give more than one chunk from several; brotli and deflate from one that is large.
const large = Buffer.concat(Array.from({ length: 50 }, () => rows));
const ONE_STREAM = { brotli: brotliCompressSync, deflate: deflateSync };

for (const [compression, bytes] of SAMPLES) {
  const isOne = compression === "brotli" || compression === "deflate";
  const content = isOne ? large : Buffer.concat(Array.from({ length: 12 }, () => rows));
  stageContract<Uint8Array>({
    name: `decompress ${compression}`,
    stage: decompress({ compression }),
    sample: isOne
      ? ONE_STREAM[compression](large)
      : Buffer.concat(Array.from({ length: 12 }, () => bytes)),
    collect,
    empty: { code: "not_this_container" },
    limited: {
      stage: decompress({ compression, maxOutputBytes: content.byteLength - 1 }),
      code: "limit_exceeded",
    },
  });
}

for (const compression of ["auto", "none"] as const) {
  stageContract<Uint8Array>({
    name: `decompress ${compression} over plain bytes`,
    stage: decompress({ compression }),
    sample: rows,
    collect,
    empty: { output: Buffer.alloc(0) },
    limited: {
      stage: decompress({ compression, maxOutputBytes: rows.byteLength - 1 }),
      code: "limit_exceeded",
    },
  });
}

describe("the pull of one output chunk", () => {
  const noise = randomBytes(2 ** 20);

  test.each(SAMPLES)("does not read a whole file: %s", async (compression, bytes) => {
    const isOne = compression === "brotli" || compression === "deflate";
    const whole = isOne
      ? ONE_STREAM[compression](noise)
      : Buffer.concat(Array.from({ length: 400 }, () => bytes));
    const source = probe(chunked(whole, 1024));
    for await (const _ of decompress({ compression })(source)) break;
    expect(source.pulled * 1024).toBeLessThan(whole.byteLength / 2);
    expect(source.closed).toBe(true);
  });
});
