import { describe, expect, test } from "vitest";
import { crc32c } from "../src/crc32c.ts";
import { outcome } from "./bytes-of.ts";
import { rows, sample } from "./samples.ts";

const snappy = { compression: "snappy" } as const;
const stream = sample("snappy");
const identifier = stream.subarray(0, 10);

function chunk(type: number, body: Uint8Array): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt8(type, 0);
  head.writeUIntLE(body.byteLength, 1, 3);
  return Buffer.concat([head, body]);
}

/** A chunk of type 0 or 1 whose checksum is that of `content`. */
function data(type: number, body: Uint8Array, content: Uint8Array): Buffer {
  const crc = crc32c(content);
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32LE((((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0);
  return chunk(type, Buffer.concat([checksum, body]));
}

/** One stream of one compressed chunk. */
const block = (hex: string, content: string): Buffer =>
  Buffer.concat([identifier, data(0, Buffer.from(hex, "hex"), Buffer.from(content))]);

describe("crc32c", () => {
  // RFC 3720, B.4.
  test.each([
    [Buffer.alloc(32), 0x8a9136aa],
    [Buffer.alloc(32, 0xff), 0x62a8ab43],
    [Buffer.from(Uint8Array.from({ length: 32 }, (_, i) => i)), 0x46dd794e],
    [Buffer.from("123456789"), 0xe3069283],
  ])("of the standard's samples", (bytes, wanted) => {
    expect(crc32c(bytes)).toBe(wanted);
  });
});

describe("snappy chunks", () => {
  test("are all opened: more streams, padding and chunks to pass over among them", async () => {
    const file = Buffer.concat([
      stream,
      chunk(0xfe, Buffer.alloc(70_000)),
      stream,
      chunk(0x80, Buffer.from("of another time")),
      data(1, Buffer.from("stored"), Buffer.from("stored")),
    ]);
    const wanted = Buffer.concat([rows, rows, Buffer.from("stored")]);
    for (const size of [1, 100, 100_000]) expect(await outcome(file, snappy, size)).toEqual(wanted);
  });

  test.each([
    ["no identifier first", data(1, rows, rows), "not_this_container"],
    ["a reserved type", Buffer.concat([identifier, chunk(2, rows)]), "unsupported_method"],
    [
      "another identifier",
      Buffer.concat([identifier, chunk(0xff, Buffer.from("SNAPPY"))]),
      "corrupt",
    ],
    ["no checksum", Buffer.concat([identifier, chunk(1, Buffer.alloc(3))]), "corrupt"],
    [
      "more than 64 KiB",
      Buffer.concat([identifier, data(1, Buffer.alloc(65_537), Buffer.alloc(65_537))]),
      "corrupt",
    ],
    [
      "content that does not match",
      Buffer.concat([identifier, data(1, Buffer.from("a"), Buffer.from("b"))]),
      "checksum_mismatch",
    ],
  ])("with %s are refused", async (_, bytes, code) => {
    expect(await outcome(bytes, snappy)).toBe(code);
  });
});

describe("snappy blocks", () => {
  // Rust's snap never writes the four-byte distances and longest literals; decoders owe them.
  test.each([
    ["a literal", "010061", "a"],
    ["a literal whose length stands in a byte", "03f002616263", "abc"],
    ["a literal whose length stands in four bytes", "03fc02000000616263", "abc"],
    ["a copy of one byte's distance", "080c616263640104", "abcdabcd"],
    ["a copy of two bytes' distance", "080c616263640e0400", "abcdabcd"],
    ["a copy of four bytes' distance", "080c616263640f04000000", "abcdabcd"],
    ["a copy that overlaps itself", "060061120100", "aaaaaa"],
  ])("hold %s", async (_, hex, content) => {
    expect(String(await outcome(block(hex, content), snappy))).toBe(content);
  });

  test.each([
    ["a copy before the first byte", "0400610d02"],
    ["a copy of distance zero", "0500610100"],
    ["a literal beyond the block", "0410616263"],
    ["a literal beyond the content", "0108616263"],
    ["a copy beyond the content", "0400610501"],
    ["less than it says", "050061"],
    ["a length without end", "ffffffffffff"],
    ["a length above 64 KiB", "8180040061"],
    ["a distance that is cut", "0500610e04"],
    ["a literal's length that is cut", "05fc02"],
    ["nothing", ""],
  ])("with %s are refused", async (_, hex) => {
    expect(await outcome(block(hex, "a"), snappy)).toBe("corrupt");
  });
});
