import { crc32 } from "node:zlib";
import { describe, expect, test } from "vitest";
import { outcome } from "./bytes-of.ts";
import { file, rows, sample } from "./samples.ts";

const xz = { compression: "xz" } as const;
const stream = sample("xz");
const HEADER_BYTES = 12;
const blockHeaderBytes = (stream.readUInt8(HEADER_BYTES) + 1) * 4;
const indexAt = stream.byteLength - 12 - (stream.readUInt32LE(stream.byteLength - 8) + 1) * 4;

/** The sample after `edit`, with the CRC-32 of the part from `start` to `end` made right again. */
function resealed(
  start: number,
  end: number,
  crcAt: number,
  edit: (bytes: Buffer) => void,
): Buffer {
  const bytes = Buffer.from(stream);
  edit(bytes);
  bytes.writeUInt32LE(crc32(bytes.subarray(start, end)), crcAt);
  return bytes;
}

const streamHeader = (edit: (bytes: Buffer) => void): Buffer => resealed(6, 8, 8, edit);
const blockHeader = (edit: (bytes: Buffer) => void): Buffer => {
  const end = HEADER_BYTES + blockHeaderBytes - 4;
  return resealed(HEADER_BYTES, end, end, edit);
};
const index = (edit: (bytes: Buffer) => void): Buffer =>
  resealed(indexAt, stream.byteLength - 16, stream.byteLength - 16, edit);
const footer = (edit: (bytes: Buffer) => void): Buffer =>
  resealed(stream.byteLength - 8, stream.byteLength - 2, stream.byteLength - 12, edit);

describe("xz streams", () => {
  test("are all opened, with padding by fours between and behind", async () => {
    const other = file("rows.csv.sha256.xz");
    const bytes = Buffer.concat([stream, other, Buffer.alloc(4), stream, Buffer.alloc(1024)]);
    for (const size of [1, 10, 100_000]) {
      expect(await outcome(bytes, xz, size)).toEqual(Buffer.concat([rows, rows, rows]));
    }
  });

  test.each([1, 2, 3, 5])("with %i zero bytes behind are refused", async (padding) => {
    for (const size of [1, 100_000]) {
      expect(await outcome(Buffer.concat([stream, Buffer.alloc(padding)]), xz, size)).toBe(
        "corrupt",
      );
    }
  });

  test.each([2, 3, 5, 7, 9, 15])("with check %i, which nobody knows, are refused", async (type) => {
    const bytes = streamHeader((header) => header.writeUInt8(type, 7));
    expect(await outcome(bytes, xz)).toBe("unsupported_method");
  });

  test("whose parts disagree are refused", async () => {
    const wrong: readonly Buffer[] = [
      // The footer's flags, its index's length, its magic.
      footer((bytes) => bytes.writeUInt8(1, bytes.byteLength - 3)),
      footer((bytes) => bytes.writeUInt32LE(7, bytes.byteLength - 8)),
      footer((bytes) => bytes.writeUInt8(0x59, bytes.byteLength - 1)),
      // The index's count of blocks, and the size of one.
      index((bytes) => bytes.writeUInt8(2, indexAt + 1)),
      index((bytes) => bytes.writeUInt8(bytes.readUInt8(indexAt + 2) ^ 4, indexAt + 2)),
    ];
    for (const [i, bytes] of wrong.entries()) {
      expect(await outcome(bytes, xz), `case ${i}`).toBe("corrupt");
    }
  });

  test("whose headers, index or footer do not match their CRC-32 are refused", async () => {
    for (const at of [
      8,
      HEADER_BYTES + blockHeaderBytes - 1,
      stream.byteLength - 13,
      stream.byteLength - 12,
    ]) {
      const bytes = Buffer.from(stream);
      bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
      expect(await outcome(bytes, xz), `byte ${at}`).toBe("checksum_mismatch");
    }
  });
});

describe("xz blocks", () => {
  const flags = HEADER_BYTES + 1;

  test.each([
    [
      "a filter that is not known",
      (bytes: Buffer) => bytes.writeUInt8(0x22, flags + 1),
      "unsupported_method",
    ],
    [
      "a filter of executables",
      (bytes: Buffer) => bytes.writeUInt8(0x04, flags + 1),
      "unsupported_method",
    ],
    ["reserved flags", (bytes: Buffer) => bytes.writeUInt8(0x04, flags), "unsupported_method"],
    ["a dictionary of no size", (bytes: Buffer) => bytes.writeUInt8(41, flags + 3), "corrupt"],
    ["properties of another length", (bytes: Buffer) => bytes.writeUInt8(2, flags + 2), "corrupt"],
    ["padding that is not zero", (bytes: Buffer) => bytes.writeUInt8(1, flags + 4), "corrupt"],
  ])("with %s are refused", async (_, edit, code) => {
    expect(await outcome(blockHeader(edit), xz)).toBe(code);
  });

  const data = HEADER_BYTES + blockHeaderBytes;

  test.each([
    ["a control byte that is not known", 0x03],
    ["a chunk that goes on before one began", 0x02],
    ["a chunk without properties", 0x80],
    ["a chunk that needs the dictionary before one began", 0xc0],
  ])("with %s are refused", async (_, control) => {
    const bytes = Buffer.from(stream);
    bytes.writeUInt8(control, data);
    expect(await outcome(bytes, xz)).toBe("corrupt");
  });

  test("with properties that LZMA2 does not allow are refused", async () => {
    for (const properties of [225, 4 * 45 + 4 * 9 + 8, 8]) {
      const bytes = Buffer.from(stream);
      bytes.writeUInt8(properties, data + 5);
      expect(await outcome(bytes, xz)).toBe("corrupt");
    }
  });

  test("with more content in a chunk than its data gives are refused", async () => {
    const bytes = Buffer.from(stream);
    bytes.writeUInt16BE(bytes.readUInt16BE(data + 1) + 1, data + 1);
    expect(await outcome(bytes, xz)).toBe("corrupt");
  });
});
