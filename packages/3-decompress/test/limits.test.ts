import { brotliCompressSync, crc32, gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { type DecompressOptions, decompress } from "../src/index.ts";
import { BZIP2_ZEROS, MIB, repeated, zstdZeros } from "./bombs.ts";
import { bytesOf, outcome } from "./bytes-of.ts";
import { type CompressionName, file, rows, SAMPLES, sample } from "./samples.ts";
import { skippable } from "./skippable.ts";

describe("maxOutputBytes", () => {
  const size = rows.byteLength;
  test.each(SAMPLES)("stops one byte above itself: %s", async (compression, bytes) => {
    const at = (maxOutputBytes: number) => outcome(bytes, { compression, maxOutputBytes });
    expect(await at(size - 1)).toBe("limit_exceeded");
    expect(await at(size)).toEqual(rows);
    expect(await at(size + 1)).toEqual(rows);
    await expect(
      bytesOf(decompress({ compression, maxOutputBytes: size - 1 })(repeated(bytes, 1))),
    ).rejects.toThrow(`maxOutputBytes = ${size - 1}`);
  });

  test("counts all frames of an object together", async () => {
    for (const compression of ["gzip", "zstd", "bzip2", "xz", "lz4", "snappy"] as const) {
      const two = Buffer.concat([sample(compression), sample(compression)]);
      expect(await outcome(two, { compression, maxOutputBytes: 2 * size - 1 })).toBe(
        "limit_exceeded",
      );
      expect(await outcome(two, { compression, maxOutputBytes: 2 * size })).toHaveLength(2 * size);
    }
  });
});

describe("ratios", () => {
  const zeros = Buffer.alloc(5_000_000);
  const zstd = zstdZeros(64);

  test.each<[DecompressOptions, Buffer, string]>([
    [{ compression: "gzip", maxRatio: 1000 }, gzipSync(zeros), "maxRatio = 1000"],
    [{ compression: "zstd", maxZstdRatio: 30_000 }, zstd, "maxZstdRatio = 30000"],
  ])("%o counts only once ratioFromBytes came out", async (options, bytes, named) => {
    const { byteLength } = (await outcome(bytes, { ...options })) as Buffer;
    const at = (ratioFromBytes: number) => outcome(bytes, { ...options, ratioFromBytes });
    expect(await at(byteLength - 1)).toBe("limit_exceeded");
    expect(await at(byteLength)).toHaveLength(byteLength);
    expect(await at(byteLength + 1)).toHaveLength(byteLength);
    await expect(
      bytesOf(decompress({ ...options, ratioFromBytes: MIB })(repeated(bytes, 1))),
    ).rejects.toThrow(named);
  });

  test("are judged exactly: maxZstdRatio", async () => {
    // Of one batch all bytes are used before its output is counted.
    const ratio = (64 * 128 * 1024) / zstd.byteLength;
    const at = (maxZstdRatio: number) =>
      outcome(zstd, { compression: "zstd", maxZstdRatio, ratioFromBytes: MIB });
    expect(await at(ratio - 1)).toBe("limit_exceeded");
    expect(await at(ratio)).toHaveLength(64 * 128 * 1024);
    expect(await at(ratio + 1)).toHaveLength(64 * 128 * 1024);
  });

  test("do not refuse what the formats give of zeros by default", async () => {
    const options = { ratioFromBytes: MIB };
    expect(await outcome(gzipSync(zeros), { compression: "gzip", ...options })).toHaveLength(5e6);
    expect(await outcome(zstd, { compression: "zstd", ...options })).toHaveLength(64 * 128 * 1024);
  });

  test("bind neither bzip2 nor xz nor brotli", async () => {
    const options = { ratioFromBytes: 1, maxRatio: 1, maxZstdRatio: 1 };
    expect(await outcome(file("zeros-1MiB.xz"), { compression: "xz", ...options })).toHaveLength(
      MIB,
    );
    expect(await outcome(BZIP2_ZEROS, { compression: "bzip2", ...options })).toHaveLength(45e6);
    const brotli = brotliCompressSync(zeros);
    expect(await outcome(brotli, { compression: "brotli", ...options })).toHaveLength(5e6);
  });
});

describe("maxOutputWithoutInput", () => {
  test("stops one byte above itself: the one block of 45,000,000 zeros", async () => {
    const at = (maxOutputWithoutInput: number) =>
      outcome(BZIP2_ZEROS, { compression: "bzip2", maxOutputWithoutInput });
    expect(await at(44_999_999)).toBe("limit_exceeded");
    expect(await at(45_000_000)).toHaveLength(45_000_000);
    expect(await at(45_000_001)).toHaveLength(45_000_000);
    const run = decompress({ compression: "bzip2", maxOutputWithoutInput: 1000 });
    await expect(bytesOf(run(repeated(BZIP2_ZEROS, 1)))).rejects.toThrow(
      "maxOutputWithoutInput = 1000",
    );
  });
});

describe("maxEmptyFrames", () => {
  const EMPTY: readonly [CompressionName, Buffer][] = [
    ["gzip", gzipSync("")],
    ["zstd", Buffer.from("28b52ffd2000010000", "hex")],
    ["zstd", skippable(Buffer.from("passed over"))],
    ["bzip2", Buffer.from("425a683917724538509000000000", "hex")],
    ["lz4", Buffer.from("04224d1860408200000000", "hex")],
    ["snappy", Buffer.from("ff060000734e61507059", "hex")],
  ];

  test.each(EMPTY)("stops one above itself: %s", async (compression, empty) => {
    const full = sample(compression);
    const five = Array.from({ length: 5 }, () => empty);
    const at = (maxEmptyFrames: number) =>
      outcome(Buffer.concat([full, ...five]), { compression, maxEmptyFrames });
    expect(await at(4)).toBe("limit_exceeded");
    expect(await at(5)).toEqual(rows);
    expect(await at(6)).toEqual(rows);
    // Content between them begins the count anew; snappy's own identifier is one more.
    const parted = Buffer.concat([...five, full, ...five]);
    expect(await outcome(parted, { compression, maxEmptyFrames: 6 })).toEqual(rows);
  });

  test("stops a file of nothing but empty members by default", async () => {
    const empty = Buffer.from("425a683917724538509000000000", "hex");
    const many = (count: number) => Buffer.alloc(14 * count, empty);
    expect(await outcome(many(10_000), { compression: "bzip2" }, 65_536)).toHaveLength(0);
    expect(await outcome(many(10_001), { compression: "bzip2" }, 65_536)).toBe("limit_exceeded");
  });
});

// Attack B3.
describe("history", () => {
  // Window descriptors have steps of an eighth; 0x10 is 4 KiB.
  test.each([
    [4095, "limit_exceeded"],
    [4096, 128 * 1024],
    [4097, 128 * 1024],
  ])("of zstd: maxZstdWindowBytes = %i over a window of 4 KiB", async (limit, wanted) => {
    const bytes = zstdZeros(1);
    bytes.writeUInt8(0x10, 5);
    // A block is no larger than its window.
    bytes.writeUIntLE((4096 * 8) | 3, 6, 3);
    const seen = await outcome(bytes, { compression: "zstd", maxZstdWindowBytes: limit });
    expect(typeof seen === "string" ? seen : seen.byteLength * 32).toBe(wanted);
  });

  test("of zstd is 128 MiB by default, as zstd --long=27 writes it", async () => {
    const at = async (log: number) => {
      const long = zstdZeros(2);
      long.writeUInt8((log - 10) << 3, 5);
      return await outcome(long, { compression: "zstd" });
    };
    expect(await at(27)).toHaveLength(256 * 1024);
    expect(await at(28)).toBe("limit_exceeded");
    expect(await at(31)).toBe("limit_exceeded");
  });

  test("of zstd can be allowed to be larger", async () => {
    const long = zstdZeros(2);
    long.writeUInt8(18 << 3, 5);
    expect(await outcome(long, { compression: "zstd", maxZstdWindowBytes: 2 ** 28 })).toHaveLength(
      256 * 1024,
    );
  });

  /** The sample with another dictionary in its block's header. */
  function xzWithDictionary(code: number): Buffer {
    const bytes = Buffer.from(sample("xz"));
    const size = (bytes.readUInt8(12) + 1) * 4;
    const at = bytes.indexOf(Buffer.from([0x21, 1]), 12) + 2;
    bytes.writeUInt8(code, at);
    bytes.writeUInt32LE(crc32(bytes.subarray(12, 12 + size - 4)), 12 + size - 4);
    return bytes;
  }

  test("of xz: maxXzDictionaryBytes over a dictionary of 64 KiB", async () => {
    const at = (limit: number) =>
      outcome(xzWithDictionary(8), { compression: "xz", maxXzDictionaryBytes: limit });
    expect(await at(65_535)).toBe("limit_exceeded");
    expect(await at(65_536)).toEqual(rows);
    expect(await at(65_537)).toEqual(rows);
  });

  test("of xz is 64 MiB by default, as xz -9 writes it", async () => {
    expect(await outcome(xzWithDictionary(28), { compression: "xz" })).toEqual(rows);
    expect(await outcome(xzWithDictionary(29), { compression: "xz" })).toBe("limit_exceeded");
    expect(await outcome(xzWithDictionary(40), { compression: "xz" })).toBe("limit_exceeded");
  });
});
