import { zstdCompressSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { outcome } from "./bytes-of.ts";
import { type CompressionName, file, rows, SAMPLES, sample } from "./samples.ts";

/** A repeatable stand-in for chance (mulberry32). */
function seeded(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** What 200 files with one flipped bit each give: codes, "same", or "other" content. */
async function flips(compression: CompressionName, whole: Buffer): Promise<Map<string, number>> {
  const chance = seeded(7);
  const seen = new Map<string, number>();
  for (let flip = 0; flip < 200; flip++) {
    const bit = chance(whole.byteLength * 8);
    const damaged = Buffer.from(whole);
    damaged.writeUInt8(damaged.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
    const result = await outcome(damaged, { compression });
    const content = typeof result !== "string" && result.equals(rows) ? "same" : "other";
    const label = typeof result === "string" ? result : content;
    seen.set(label, (seen.get(label) ?? 0) + 1);
  }
  return seen;
}

// Attack B9.
describe("a file cut after any of its bytes", () => {
  test.each(SAMPLES)("is truncated, never short: %s", async (compression, whole) => {
    // snappy has no end mark: behind its identifier, and behind each chunk, a file may end.
    const mayEnd = compression === "snappy" ? [10] : [];
    for (let cut = 1; cut < whole.byteLength; cut++) {
      const wanted = mayEnd.includes(cut) ? Buffer.alloc(0) : "truncated";
      const seen = await outcome(whole.subarray(0, cut), { compression }, 700);
      expect(seen, `cut at ${cut}`).toEqual(wanted);
    }
  });

  test.each(["zstd", "bzip2", "xz", "lz4"] as const)(
    "of several %s frames is whole only between them",
    async (compression) => {
      const one = sample(compression);
      const two = Buffer.concat([one, one]);
      expect(await outcome(two.subarray(0, one.byteLength), { compression })).toEqual(rows);
      for (let cut = one.byteLength + 1; cut < two.byteLength; cut += 13) {
        expect(await outcome(two.subarray(0, cut), { compression }), `cut at ${cut}`).toBe(
          "truncated",
        );
      }
    },
  );
});

describe("200 flipped bits", () => {
  const checked: [string, CompressionName, Buffer][] = [
    ...SAMPLES.filter(([name]) => name !== "brotli").map(
      ([name, bytes]): [string, CompressionName, Buffer] => [name, name, bytes],
    ),
    ["xz with SHA-256", "xz", file("rows.csv.sha256.xz")],
  ];
  test.each(checked)("never pass as other content: %s", async (_, compression, whole) => {
    const seen = await flips(compression, whole);
    expect(seen.get("other")).toBeUndefined();
    expect(seen.get("same") ?? 0).toBeLessThan(20);
  });

  // Without a checksum a flip may give other content, and no reader can tell. All that is promised is
  // an end: content, or a code of this stage (outcome throws on any other error).
  test("end with content or a code where a format has no checksum: brotli", async () => {
    const seen = await flips("brotli", sample("brotli"));
    expect(seen.get("other")).toBeGreaterThan(0);
    expect([...seen.values()].reduce((sum, count) => sum + count)).toBe(200);
  });

  test("end with content or a code where a writer left the checksum out: zstd", async () => {
    const seen = await flips("zstd", zstdCompressSync(rows));
    expect(seen.get("other")).toBeGreaterThan(0);
    expect(seen.get("corrupt")).toBeGreaterThan(0);
  });
});

describe("after the end", () => {
  test.each(SAMPLES)("bytes of another kind are refused: %s", async (compression, whole) => {
    for (const garbage of [
      Buffer.from("garbage"),
      Buffer.from([7]),
      Buffer.from([0, 0, 0, 0, 7]),
    ]) {
      for (const chunkSize of [1, whole.byteLength, 100_000]) {
        const seen = await outcome(Buffer.concat([whole, garbage]), { compression }, chunkSize);
        // snappy has no end: what follows is a chunk, and one that is cut or of a reserved type.
        const codes =
          compression === "snappy" ? ["truncated", "unsupported_method", "corrupt"] : ["corrupt"];
        expect(codes).toContain(seen);
      }
    }
  });

  test.each(SAMPLES.filter(([name]) => name !== "snappy"))(
    "zero bytes are padding: %s",
    async (compression, whole) => {
      const padded = Buffer.concat([whole, Buffer.alloc(512)]);
      expect(await outcome(padded, { compression }, 300)).toEqual(rows);
    },
  );

  test.each(SAMPLES.filter(([name]) => !["snappy", "xz"].includes(name)))(
    "another file behind zero bytes is refused: %s",
    async (compression, whole) => {
      const bytes = Buffer.concat([whole, Buffer.alloc(512), whole]);
      expect(await outcome(bytes, { compression })).toBe("corrupt");
    },
  );
});

describe("chunks", () => {
  test.each(SAMPLES)("of any size give the same: %s", async (compression, whole) => {
    for (const chunkSize of [1, 2, 3, 17, 1024, 65_536, 2 ** 20]) {
      expect(await outcome(whole, { compression }, chunkSize)).toEqual(rows);
      expect(await outcome(whole, { compression: "auto" }, chunkSize)).toEqual(
        compression === "brotli" || compression === "deflate" ? whole : rows,
      );
    }
  });
});
