import { describe, expect, test } from "vitest";
import { type DecompressOptions, decompress } from "../src/index.ts";
import { BZIP2_ZEROS, gzipZeros, MIB, repeated, zstdZeros } from "./bombs.ts";
import { bytesOf, outcome } from "./bytes-of.ts";
import { file } from "./samples.ts";

// Attacks B1, B2, B3.
describe("bombs stop at their limit with flat memory", () => {
  const maxOutputBytes = 200 * MIB;

  test.each<[string, DecompressOptions, () => AsyncIterable<Uint8Array>]>([
    ["gzip of 10 GiB of zeros", { compression: "gzip" }, gzipZeros],
    ["zstd of 100 GiB of zeros", { compression: "zstd" }, () => repeated(zstdZeros(819_200), 1)],
    ["bzip2 of 10 GiB of zeros", { compression: "bzip2" }, () => repeated(BZIP2_ZEROS, 239)],
    ["xz of 10 GiB of zeros", { compression: "xz" }, () => repeated(file("zeros-1MiB.xz"), 10_240)],
  ])("%s", async (_, options, bomb) => {
    const before = process.memoryUsage.rss();
    let peak = 0;
    let size = 0;
    let failure: unknown;
    try {
      for await (const chunk of decompress({ ...options, maxOutputBytes })(bomb())) {
        size += chunk.byteLength;
        peak = Math.max(peak, process.memoryUsage.rss() - before);
      }
    } catch (error) {
      failure = error;
    }
    expect(failure).toMatchObject({ code: "limit_exceeded" });
    expect(size).toBeLessThanOrEqual(maxOutputBytes);
    expect(size).toBeGreaterThan(maxOutputBytes - 3 * MIB);
    expect(peak).toBeLessThan(120 * MIB);
  });

  test("gzip of 10 GiB of zeros is within the ratio, a constant file's is too", async () => {
    // Only the count of bytes may stop it: an honest file compresses as far.
    const run = decompress({ compression: "gzip", maxOutputBytes, ratioFromBytes: MIB });
    await expect(bytesOf(run(gzipZeros()))).rejects.toThrow("maxOutputBytes");
  });

  test("and let timers have their turn", async () => {
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    const run = decompress({ compression: "bzip2", maxOutputBytes: 60e6 })(
      repeated(BZIP2_ZEROS, 10),
    );
    await expect(bytesOf(run)).rejects.toMatchObject({ code: "limit_exceeded" });
    clearInterval(timer);
    expect(turns).toBeGreaterThan(10);
  });
});

// Attack B3.
describe("what a header claims", () => {
  test("allocates nothing: zstd frames of 2^63 bytes and of window log 31", async () => {
    // Content size of 8 bytes; once with a window of 1 KiB, once as one segment; then window log 31.
    const sized = Buffer.from("28b52ffdc00000000000000000800300", "hex");
    const single = Buffer.from("28b52ffde0000000000000008003000000", "hex");
    const window = Buffer.from("28b52ffd00a8030000", "hex");
    const before = process.memoryUsage();
    for (let i = 0; i < 50; i++) {
      expect(["corrupt", "truncated"]).toContain(await outcome(sized, { compression: "zstd" }));
      expect(await outcome(single, { compression: "zstd" })).toBe("limit_exceeded");
      expect(await outcome(window, { compression: "zstd" })).toBe("limit_exceeded");
    }
    const after = process.memoryUsage();
    expect(after.rss - before.rss).toBeLessThan(64 * MIB);
    expect(after.external - before.external).toBeLessThan(64 * MIB);
  });
});
