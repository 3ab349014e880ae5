import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { brotliCompressSync, constants, deflateSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { outcome } from "./bytes-of.ts";
import { type CompressionName, isPresent, rows, snappyFramed } from "./samples.ts";

const MIB = 2 ** 20;
const text = Buffer.from(
  Array.from({ length: 20_000 }, (_, i) => `${i},${(i * 7919) % 10_007},row\n`).join(""),
);

/** Contents that reach the corners: nothing, one byte, long runs, no repetition, far repetition. */
const CONTENTS: readonly (readonly [string, Buffer])[] = [
  ["nothing", Buffer.alloc(0)],
  ["one byte", Buffer.from("7")],
  ["370 KB of text", text],
  ["3 MiB of zeros", Buffer.alloc(3 * MIB)],
  ["runs of 1 to 600 equal bytes", Buffer.concat(runs())],
  ["300 KiB of noise", randomBytes(300 * 1024)],
  ["noise that comes back after 200 KiB", twice(randomBytes(200 * 1024))],
  ["all bytes", Buffer.from(Uint8Array.from({ length: 70_000 }, (_, i) => (i * i) >> 3))],
];

function runs(): Buffer[] {
  return Array.from({ length: 600 }, (_, i) => Buffer.alloc(i + 1, (i * 37) & 255));
}

function twice(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, bytes]);
}

/** The tools that write, each in every way that makes other bytes. */
const TOOLS: readonly (readonly [CompressionName, readonly string[]])[] = [
  ["gzip", ["gzip -1", "gzip -9"]],
  ["bzip2", ["bzip2 -1", "bzip2 -9"]],
  [
    "xz",
    [
      "xz -0",
      "xz -6",
      "xz -9e --check=crc32",
      "xz -1 --check=sha256",
      "xz -1 --check=none",
      "xz -1 --block-size=100000 -T2",
      "xz --lzma2=dict=4KiB,lc=0,lp=2,pb=0",
      "xz --lzma2=dict=64KiB,lc=4,lp=0,pb=4",
    ],
  ],
  ["zstd", ["zstd -1", "zstd -19", "zstd --long=27", "zstd --no-check", "zstd --fast=5"]],
  ["lz4", ["lz4 -1", "lz4 -9 -BX", "lz4 -B4 -BD", "lz4 -B5 -BD -BX", "lz4 -B7 --no-frame-crc"]],
];

const same = (seen: Buffer | string, content: Buffer): boolean | string =>
  typeof seen === "string" ? seen : seen.equals(content);

for (const [compression, commands] of TOOLS) {
  const present = isPresent(compression, "--version");
  describe.skipIf(!present)(
    `what ${compression} writes${present ? "" : " (the tool is absent: skipped)"}`,
    () => {
      test.each(commands)("%s comes back, byte for byte", async (command) => {
        const [tool = "", ...options] = command.split(" ");
        for (const [name, content] of CONTENTS) {
          const bytes = execFileSync(tool, [...options, "-c"], {
            input: content,
            maxBuffer: 2 ** 26,
            stdio: ["pipe", "pipe", "ignore"],
          });
          const seen = await outcome(bytes, { compression }, 40_000);
          expect(same(seen, content), `${command} of ${name}`).toBe(true);
        }
      });
    },
  );
}

const XZ = "xz";
const xz = isPresent(XZ, "--version");
test.skipIf(!xz)(
  `xz's window moves on over more content than it holds${xz ? "" : " (the tool is absent: skipped)"}`,
  async () => {
    const content = Buffer.concat(Array.from({ length: 20 }, () => text));
    const options = ["--lzma2=preset=0,dict=512KiB", "-c"];
    const bytes = execFileSync(XZ, options, { input: content, maxBuffer: 2 ** 26 });
    expect(content.byteLength).toBeGreaterThan(5 * MIB);
    expect(same(await outcome(bytes, { compression: "xz" }, 40_000), content)).toBe(true);
  },
);

// There is no brotli tool here: Node's own encoder is the second side. zlib's format is written by it too.
describe("what Node writes", () => {
  test.each([0, 5, 11])("brotli of quality %i comes back", async (quality) => {
    const params = { [constants.BROTLI_PARAM_QUALITY]: quality };
    for (const [name, content] of CONTENTS) {
      // The best quality takes seconds for a megabyte.
      const part = content.subarray(0, quality === 11 ? 50_000 : content.byteLength);
      const bytes = brotliCompressSync(part, { params });
      const seen = await outcome(bytes, { compression: "brotli" }, 40_000);
      expect(same(seen, part), name).toBe(true);
    }
  });

  test.each([0, 1, 9])("deflate of level %i comes back", async (level) => {
    for (const [name, content] of CONTENTS) {
      const seen = await outcome(deflateSync(content, { level }), { compression: "deflate" });
      expect(same(seen, content), name).toBe(true);
    }
  });
});

test("what Rust's snap writes comes back", async () => {
  for (const [name, content] of CONTENTS.filter(([, { byteLength }]) => byteLength > 0)) {
    const seen = await outcome(await snappyFramed(content), { compression: "snappy" }, 40_000);
    expect(same(seen, content), name).toBe(true);
  }
});

const python = isPresent("python3", "-c", "import bz2, gzip, lzma, zlib");
describe.skipIf(!python)(
  `what Python's modules write${python ? "" : " (python3 is absent: skipped)"}`,
  () => {
    const write = (expression: string): Buffer =>
      execFileSync(
        "python3",
        [
          "-c",
          `import sys, bz2, gzip, lzma, zlib; data = sys.stdin.buffer.read(); sys.stdout.buffer.write(${expression})`,
        ],
        { input: rows },
      );

    test.each<[CompressionName, string]>([
      ["gzip", "gzip.compress(data)"],
      ["bzip2", "bz2.compress(data, 3) + bz2.compress(data)"],
      ["xz", "lzma.compress(data) + bytes(8) + lzma.compress(data, check=lzma.CHECK_SHA256)"],
      ["deflate", "zlib.compress(data, 6)"],
    ])("%s: %s", async (compression, expression) => {
      const seen = await outcome(write(expression), { compression });
      const times = expression.includes("+") ? 2 : 1;
      expect(seen).toEqual(Buffer.concat(Array.from({ length: times }, () => rows)));
    });

    test("xz filters other than LZMA2 are refused by name", async () => {
      const delta = "[{'id': lzma.FILTER_DELTA, 'dist': 4}, {'id': lzma.FILTER_LZMA2}]";
      const x86 = "[{'id': lzma.FILTER_X86}, {'id': lzma.FILTER_LZMA2}]";
      for (const filters of [delta, x86]) {
        const bytes = write(`lzma.compress(data, filters=${filters})`);
        expect(await outcome(bytes, { compression: "xz" })).toBe("unsupported_method");
      }
    });
  },
);
