import { describe, expect, test } from "vitest";
import xxhash from "xxhash-wasm";
import { outcome } from "./bytes-of.ts";
import { rows, sample } from "./samples.ts";
import { skippable } from "./skippable.ts";

const lz4 = { compression: "lz4" } as const;
const frame = sample("lz4");
const { h32Raw } = await xxhash();

/** A frame with these flags, block code and blocks; its header's checksum is right. */
function craft(flags: number, code: number, fields: Uint8Array, ...blocks: Buffer[]): Buffer {
  const descriptor = Buffer.concat([Buffer.from([flags, code]), fields]);
  const check = (h32Raw(descriptor) >>> 8) & 0xff;
  const sized = blocks.flatMap((block) => {
    const size = Buffer.alloc(4);
    size.writeUInt32LE(block.byteLength);
    return [size, block];
  });
  const magic = Buffer.from("04224d18", "hex");
  return Buffer.concat([magic, descriptor, Buffer.of(check), ...sized, Buffer.alloc(4)]);
}

const none = Buffer.alloc(0);
const block = (hex: string): Buffer => craft(0x60, 0x40, none, Buffer.from(hex, "hex"));

describe("lz4 frames", () => {
  test("are all opened, skippable ones passed over", async () => {
    const file = Buffer.concat([skippable(rows), frame, skippable(none, 9), frame]);
    for (const chunkSize of [1, 50, 100_000]) {
      expect(await outcome(file, lz4, chunkSize)).toEqual(Buffer.concat([rows, rows]));
    }
  });

  test("of the legacy format are refused by name, alone and behind others", async () => {
    const legacy = Buffer.from("02214c1800000000", "hex");
    for (const compression of ["lz4", "auto", "none"] as const) {
      expect(await outcome(legacy, { compression })).toBe("unsupported_method");
    }
    expect(await outcome(Buffer.concat([frame, legacy]), lz4)).toBe("unsupported_method");
  });

  test.each([
    ["another version", craft(0xa0, 0x40, none), "unsupported_method"],
    ["a dictionary", craft(0x61, 0x40, Buffer.alloc(4)), "unsupported_method"],
    ["a reserved flag", craft(0x62, 0x40, none), "corrupt"],
    ["a reserved block size", craft(0x60, 0x30, none), "corrupt"],
    ["a content size that is wrong", craft(0x68, 0x40, Buffer.alloc(8, 1)), "corrupt"],
    ["a block above its maximum", craft(0x60, 0x40, none, Buffer.alloc(65_537)), "corrupt"],
  ])("with %s are refused", async (_, bytes, code) => {
    expect(await outcome(bytes, lz4)).toBe(code);
  });
});

describe("lz4 blocks", () => {
  test.each([
    ["a literal", "1061", "a"],
    [
      "a run: a match that overlaps itself",
      "1f61010000" + "5062626262" + "62",
      `${"a".repeat(20)}bbbbb`,
    ],
  ])("hold %s", async (_, hex, text) => {
    expect(String(await outcome(block(hex), lz4))).toBe(text);
  });

  test.each([
    ["a match before the first byte", "1061" + "0000"],
    ["a match of distance zero", "1461000010" + "61"],
    ["a match further back than the block", "146102001061"],
    ["literals beyond the block", "f0ff61"],
    ["a length without end", "f0ffffff"],
    ["a match at its end", "14610100"],
    ["a distance that is cut", "146101"],
    ["more than its maximum", `1f610100${"ff".repeat(400)}001062`],
  ])("with %s are refused", async (_, hex) => {
    expect(await outcome(block(hex), lz4)).toBe("corrupt");
  });

  test("that are independent do not reach the block before", async () => {
    // A literal, then a match four bytes back into the first block.
    const blocks = [
      Buffer.from("4061626364", "hex"),
      Buffer.from("00040050" + "6162636465", "hex"),
    ];
    expect(String(await outcome(craft(0x40, 0x40, none, ...blocks), lz4))).toBe("abcdabcdabcde");
    expect(await outcome(craft(0x60, 0x40, none, ...blocks), lz4)).toBe("corrupt");
  });
});
