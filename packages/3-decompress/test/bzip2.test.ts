import { chunked } from "@sluice/streams/testing";
import { describe, expect, test } from "vitest";
import { decompress } from "../src/index.ts";
import { bytesOf, outcome } from "./bytes-of.ts";
import { rows, sample } from "./samples.ts";

const bzip2 = { compression: "bzip2" } as const;
const stream = sample("bzip2");
/** A stream without content: its header, the end's magic and a checksum of zero. */
const empty = Buffer.from("425a683917724538509000000000", "hex");

/** The sample with other bits from `bit` on. */
function changed(bit: number, count: number, value: number): Buffer {
  const bytes = Buffer.from(stream);
  for (let i = 0; i < count; i++) {
    const at = bit + i;
    const mask = 0x80 >> (at & 7);
    const isSet = ((value >> (count - 1 - i)) & 1) === 1;
    const byte = bytes.readUInt8(at >> 3);
    bytes.writeUInt8(isSet ? byte | mask : byte & ~mask, at >> 3);
  }
  return bytes;
}

describe("bzip2 streams", () => {
  test("are all opened, those of other levels and without content among them", async () => {
    const file = Buffer.concat([empty, stream, empty, empty, stream]);
    for (const size of [1, 9, 100_000]) {
      expect(await outcome(file, bzip2, size)).toEqual(Buffer.concat([rows, rows]));
    }
  });

  test("may be nothing but empty", async () => {
    expect(await outcome(empty, { compression: "auto" })).toEqual(Buffer.alloc(0));
  });

  test("are checked as a whole, not only by their blocks", async () => {
    const last = stream.byteLength - 1;
    const bytes = Buffer.from(stream);
    // The last byte may be padding in part; the stream's checksum ends in it or before.
    bytes.writeUInt8(bytes.readUInt8(last - 1) ^ 0x10, last - 1);
    expect(await outcome(bytes, bzip2)).toBe("checksum_mismatch");
    const other = Buffer.from(empty);
    other.writeUInt8(1, 13);
    expect(await outcome(other, bzip2)).toBe("checksum_mismatch");
  });

  test("with a level that there is not are refused", async () => {
    for (const level of ["0", ":"]) {
      const bytes = Buffer.concat([stream, Buffer.from(empty)]);
      bytes.write(level, stream.byteLength + 3, "latin1");
      expect(await outcome(bytes, bzip2)).toBe("corrupt");
    }
  });
});

describe("bzip2 blocks", () => {
  // Behind the stream's header stand magic and checksum (80 bits), then the fields.
  const FIELDS = 32 + 80;

  test.each([
    ["randomised, as before version 0.9.5", FIELDS, 1, 1, "unsupported_method"],
    ["whose transform begins beyond their end", FIELDS + 1, 24, 0xffffff, "corrupt"],
    ["in which no byte occurs", FIELDS + 25, 16, 0, "corrupt"],
    ["with another checksum", 32 + 48, 8, 0, "checksum_mismatch"],
  ])("%s are refused", async (_, bit, count, value, code) => {
    expect(await outcome(changed(bit, count, value), bzip2)).toBe(code);
  });

  test("behind the first that do not begin as blocks do are refused", async () => {
    const bytes = Buffer.concat([stream, empty]);
    bytes.writeUInt8(0, stream.byteLength + 9);
    expect(await outcome(bytes, bzip2)).toBe("corrupt");
  });

  test("say how far into the container they came", async () => {
    const run = decompress(bzip2)(chunked(changed(FIELDS + 1, 24, 0xffffff), 50));
    await expect(bytesOf(run)).rejects.toMatchObject({
      coordinate: { layers: [{ kind: "bzip2", offset: 14 }] },
    });
  });
});
