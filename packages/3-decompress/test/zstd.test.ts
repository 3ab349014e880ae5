import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { zstdCompressSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { containerOf } from "../src/index.ts";
import { outcome } from "./bytes-of.ts";
import { rows, sample, zstdChecked } from "./samples.ts";
import { skippable } from "./skippable.ts";

const zstd = { compression: "zstd" } as const;
const frame = sample("zstd");

// Attack B10.
describe("zstd frames", () => {
  test("are all opened, skippable ones passed over wherever they stand", async () => {
    const file = Buffer.concat([
      skippable(Buffer.from("first")),
      frame,
      skippable(Buffer.alloc(100_000, 7), 15),
      zstdCompressSync(""),
      zstdCompressSync("middle"),
      frame,
      skippable(Buffer.alloc(0), 3),
    ]);
    const wanted = Buffer.concat([rows, Buffer.from("middle"), rows]);
    for (const chunkSize of [1, 64, 100_000]) {
      expect(await outcome(file, zstd, chunkSize)).toEqual(wanted);
    }
  });

  test("behind a skippable one are told from lz4's by what follows", async () => {
    const small = skippable(Buffer.from("size"));
    expect(containerOf(Buffer.concat([small, frame]))).toBe("zstd");
    expect(containerOf(Buffer.concat([small, sample("lz4")]))).toBe("lz4");
    const large = Buffer.concat([skippable(Buffer.alloc(5000)), sample("lz4")]);
    expect(await outcome(large, { compression: "lz4" })).toEqual(rows);
    expect(await outcome(large, zstd)).toBe("corrupt");
    expect(await outcome(Buffer.concat([small, sample("lz4")]), zstd)).toBe("not_this_container");
  });

  test("of many small writes cost no engine each", async () => {
    const one = zstdChecked(Buffer.from("a row\n"));
    const many = Buffer.concat(Array.from({ length: 3000 }, () => one));
    expect(await outcome(many, zstd, 65_536)).toHaveLength(18_000);
  });

  test("are as long as their header says, to the byte", async () => {
    const sized = Buffer.from(zstdCompressSync(Buffer.from("twelve bytes")));
    expect(await outcome(sized, zstd)).toEqual(Buffer.from("twelve bytes"));
    // A single segment's size stands behind magic and descriptor.
    sized.writeUInt8(13, 5);
    expect(await outcome(sized, zstd)).toBe("corrupt");
  });

  // Attack B11.
  test.each([
    ["a dictionary", "28b52ffd2100", "unsupported_method", { 5: 7 }],
    ["a reserved bit", "28b52ffd2800", "corrupt", {}],
  ])("with %s are refused", async (_, start, code, bytes) => {
    const header = Buffer.concat([Buffer.from(start, "hex"), Buffer.alloc(20)]);
    for (const [at, byte] of Object.entries(bytes)) header.writeUInt8(byte, Number(at));
    expect(await outcome(header, zstd)).toBe(code);
  });

  // Attack B11.
  test.each([
    ["of the reserved type", 0b110],
    ["of more than 128 KiB", (131_073 << 3) | 0b001],
  ])("with a block %s are refused", async (_, facts) => {
    const bytes = Buffer.concat([Buffer.from("28b52ffd0048", "hex"), Buffer.alloc(200_000)]);
    bytes.writeUIntLE(facts, 6, 3);
    expect(await outcome(bytes, zstd)).toBe("corrupt");
  });
});

const golden = fileURLToPath(new URL("../../../../shared/corpora/zstd-golden/", import.meta.url));
const present = existsSync(golden);
const files = (folder: string): string[] => (present ? readdirSync(golden + folder) : []);

describe.skipIf(!present)(
  `zstd's golden files${present ? "" : " (corpus absent: skipped)"}`,
  () => {
    test("4 of 4 that must pass do", async () => {
      const sizes = new Map<string, number | string>();
      for (const name of files("golden-decompression")) {
        const seen = await outcome(readFileSync(`${golden}golden-decompression/${name}`), zstd);
        sizes.set(name, typeof seen === "string" ? seen : seen.byteLength);
      }
      expect(Object.fromEntries(sizes)).toEqual({
        "block-128k.zst": 131_068,
        "empty-block.zst": 0,
        "rle-first-block.zst": 1_048_576,
        "zeroSeq_2B.zst": 13,
      });
    });

    // Attack B11.
    test("3 of 3 that must fail do", async () => {
      const codes = new Map<string, unknown>();
      for (const name of files("golden-decompression-errors")) {
        const bytes = readFileSync(`${golden}golden-decompression-errors/${name}`);
        codes.set(name, await outcome(bytes, zstd));
      }
      expect(Object.fromEntries(codes)).toEqual({
        "off0.bin.zst": "corrupt",
        "truncated_huff_state.zst": "corrupt",
        "zeroSeq_extraneous.zst": "corrupt",
      });
    });

    test("3 of 4 that are to be compressed come back; the fourth is a zstd file itself", async () => {
      const refused: string[] = [];
      for (const name of files("golden-compression")) {
        const content = readFileSync(`${golden}golden-compression/${name}`);
        const seen = await outcome(zstdChecked(content), zstd, 10_000);
        if (seen === "unsupported_method") refused.push(name);
        else expect(typeof seen !== "string" && content.equals(seen), name).toBe(true);
      }
      expect(refused).toEqual(["huffman-compressed-larger"]);
      expect(files("golden-compression")).toHaveLength(4);
    });
  },
);
