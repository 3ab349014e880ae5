import { deflateRawSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { openZip, type ZipFile } from "../src/index.ts";
import { contentsOf, zipFile, zipOutcome } from "./archive-outcome.ts";
import { extraField, uint64s, writeZip, type ZipPart } from "./zip-writer.ts";

const text = Buffer.from("id,name\n1,Ada\n".repeat(20));
const part: ZipPart = { name: "a.csv", content: text };
const stored: ZipPart = { ...part, method: 0 };
const other: ZipPart = { name: "b.csv", content: text };
const sound = writeZip([part, other]);

test("the zip that the others are made of is sound", async () => {
  expect(await zipOutcome(sound)).toEqual([
    ["a.csv", text],
    ["b.csv", text],
  ]);
});

describe("sizes that lie (FAULTS 2.6, B4 and S3)", () => {
  const both = (lies: ZipPart["central"]): Partial<ZipPart> => ({
    local: { ...lies },
    central: { ...lies },
  });

  test("1 MiB that says 1 byte is refused by the real count, with no more than a chunk given", async () => {
    const content = Buffer.alloc(2 ** 20, "x");
    const bomb = writeZip([{ name: "a", content, ...both({ size: 1 }) }]);
    let given = 0;
    const reading = (async () => {
      for await (const { bytes } of openZip(zipFile(bomb))) {
        for await (const chunk of bytes) given += chunk.byteLength;
      }
    })();
    await expect(reading).rejects.toMatchObject({ code: "corrupt" });
    await expect(reading).rejects.toThrow("more bytes than the 1 that it says");
    expect(given).toBe(0);
  });

  test("one byte more or less than it says is refused, stored or deflated", async () => {
    for (const lie of [text.byteLength - 1, text.byteLength + 1]) {
      expect(await zipOutcome(writeZip([{ ...part, ...both({ size: lie }) }]))).toBe("corrupt");
      expect(await zipOutcome(writeZip([{ ...stored, ...both({ size: lie }) }]))).toBe("corrupt");
    }
  });

  test("2^64 - 1, 2^63 and more than any file are refused before anything is read", async () => {
    const size = text.byteLength;
    for (const huge of [2n ** 64n - 1n, 2n ** 63n, 2n ** 53n]) {
      for (const sizes of [uint64s(huge, size), uint64s(size, huge)]) {
        const lies = { size: 0xffffffff, compressedSize: 0xffffffff, extra: extraField(1, sizes) };
        expect(await zipOutcome(writeZip([{ ...part, ...both(lies) }]))).toBe("corrupt");
      }
    }
    const long = uint64s(2 ** 50, deflateRawSync(text).byteLength);
    const lies = { size: 0xffffffff, compressedSize: 0xffffffff, extra: extraField(1, long) };
    expect(await zipOutcome(writeZip([{ ...part, ...both(lies) }]))).toBe("limit_exceeded");
  });

  test("off by 4 GiB are refused", async () => {
    const lies = { size: 0xffffffff, extra: extraField(1, uint64s(text.byteLength + 2 ** 32)) };
    expect(await zipOutcome(writeZip([{ ...part, ...both(lies) }]))).toBe("corrupt");
  });

  test("compressed data with bytes behind its end, or without its end, is refused", async () => {
    const data = deflateRawSync(text);
    const longer = Buffer.concat([data, Buffer.from([0])]);
    expect(await zipOutcome(writeZip([{ ...part, data: longer }]))).toBe("corrupt");
    expect(await zipOutcome(writeZip([{ ...part, data: data.subarray(0, -1) }]))).toBe("corrupt");
    expect(await zipOutcome(writeZip([{ ...part, data: Buffer.alloc(0) }]))).toBe("corrupt");
    expect(await zipOutcome(writeZip([{ ...part, data: Buffer.concat([data, data]) }]))).toBe(
      "corrupt",
    );
  });

  test("a wrong CRC-32 is refused", async () => {
    expect(await zipOutcome(writeZip([{ ...part, ...both({ crc: 7 }) }]))).toBe(
      "checksum_mismatch",
    );
    expect(await zipOutcome(writeZip([{ ...stored, ...both({ crc: 7 }) }]))).toBe(
      "checksum_mismatch",
    );
    expect(await zipOutcome(writeZip([{ name: "e", method: 0, ...both({ crc: 7 }) }]))).toBe(
      "checksum_mismatch",
    );
  });
});

describe("entries that overlap (FAULTS 2.6, B5)", () => {
  test("many records of one local header are refused before anything is read", async () => {
    const bomb = writeZip([
      { ...part, content: Buffer.alloc(100_000) },
      ...Array.from({ length: 50 }, (_, i) => ({
        name: `${i}`,
        data: Buffer.alloc(0),
        central: { offset: 0 },
      })),
    ]);
    expect(await zipOutcome(bomb)).toBe("corrupt");
    await expect(contentsOf(openZip(zipFile(bomb)))).rejects.toThrow("Two entries overlap");
    let asked = 0;
    const wants = (): boolean => asked++ >= 0;
    expect(await zipOutcome(bomb, { wants })).toBe("corrupt");
    expect(asked).toBe(0);
  });

  test("quoted headers, as in Fifield's bomb, are refused", async () => {
    // The first entry's stored data is the second entry: both unfold it.
    const inner = writeZip([other]);
    const local = inner.subarray(0, inner.readUInt32LE(inner.byteLength - 6));
    const outer = writeZip([{ name: "a", content: local, method: 0 }]);
    const start = outer.readUInt32LE(outer.byteLength - 6);
    const record = inner.subarray(local.byteLength, inner.byteLength - 22);
    const quoted = Buffer.from(record);
    quoted.writeUInt32LE(31, 42);
    const end = Buffer.from(outer.subarray(-22));
    end.writeUInt16LE(2, 8);
    end.writeUInt16LE(2, 10);
    end.writeUInt32LE(47 + record.byteLength, 12);
    const bomb = Buffer.concat([outer.subarray(0, start + 47), quoted, end]);
    expect(await zipOutcome(bomb)).toBe("corrupt");
  });

  test("by one byte are refused; data that runs into the directory too", async () => {
    for (const central of [{ compressedSize: 400 }, { offset: 1 }]) {
      expect(await zipOutcome(writeZip([{ ...stored, central }, other]))).toBe("corrupt");
      expect(await zipOutcome(writeZip([other, { ...stored, central }]))).toBe("corrupt");
    }
  });
});

describe("too much of it (FAULTS 2.6, B7)", () => {
  test("1,000,000 empty entries are refused by the count that the zip tells", async () => {
    const count = 1_000_000;
    const one = writeZip([{ name: "e", method: 0 }]);
    const record = one.subarray(31, 78);
    const directory = Buffer.alloc(count * record.byteLength, record);
    const zip = writeZip([], {
      isZip64: true,
      entries64: count,
      size64: directory.byteLength,
      start64: 0,
      locatorOffset: directory.byteLength,
    });
    let asked = 0;
    const file = zipFile(Buffer.concat([directory, zip]));
    const counted: ZipFile = {
      size: file.size,
      readRange(start, end) {
        asked += end - start;
        return file.readRange(start, end);
      },
    };
    await expect(contentsOf(openZip(counted))).rejects.toThrow("maxEntries = 10000");
    expect(asked).toBeLessThan(200_000);
  });

  test("a directory that has more entries than it tells is refused", async () => {
    const many = Array.from({ length: 20 }, (_, i) => ({ name: `${i}`, method: 0 }));
    expect(await zipOutcome(writeZip(many, { entries: 1 }), { maxEntries: 1 })).toBe("corrupt");
    expect(await zipOutcome(writeZip(many, { entries: 19 }))).toBe("corrupt");
    expect(await zipOutcome(writeZip(many, { entries: 21 }))).toBe("corrupt");
    expect(await zipOutcome(writeZip(many, { entries: 0 }))).toBe("corrupt");
  });

  test("a comment of 64 MiB, which no field can hold, is refused", async () => {
    const bytes = Buffer.concat([sound, Buffer.alloc(2 ** 26, "c")]);
    expect(await zipOutcome(bytes)).toBe("truncated");
    bytes.writeUInt16LE(0xffff, sound.byteLength - 2);
    expect(await zipOutcome(bytes)).toBe("truncated");
  });
});

describe("encryption (FAULTS 2.6, S2)", () => {
  test.each([
    ["ZipCrypto", { flags: 1 }, "ZipCrypto"],
    [
      "WinZip AES",
      {
        flags: 1,
        method: 99,
        extra: extraField(0x9901, Buffer.from("0200414503080 0".slice(0, 7))),
      },
      "WinZip AES",
    ],
    ["PKWARE strong encryption", { flags: 0x41 }, "PKWARE strong encryption"],
    ["an encrypted directory", { flags: 0x2041 }, "with its name"],
  ])("by %s is refused by name", async (_, encrypted, seen) => {
    const archive = writeZip([{ ...part, data: Buffer.alloc(100, 7), ...encrypted }, other]);
    await expect(contentsOf(openZip(zipFile(archive)))).rejects.toMatchObject({
      code: "entry_encrypted",
      seen: expect.stringContaining(seen),
      coordinate: { entry: "a.csv" },
    });
  });

  test("of an entry that nobody wants is no matter", async () => {
    const archive = writeZip([{ ...part, flags: 1 }, other]);
    const wants = (name: string): boolean => name === "b.csv";
    expect(await zipOutcome(archive, { wants })).toEqual([["b.csv", text]]);
  });
});

describe("methods", () => {
  test.each([
    [1, "shrink"],
    [6, "implode"],
    [9, "Deflate64"],
    [12, "bzip2"],
    [14, "LZMA"],
    [93, "zstd"],
    [95, "xz"],
    [98, "PPMd"],
    [1234, "method 1234"],
  ])("%i is refused as %s", async (method, seen) => {
    const archive = writeZip([{ ...part, method, data: Buffer.alloc(100, 7) }]);
    await expect(contentsOf(openZip(zipFile(archive)))).rejects.toMatchObject({
      code: "unsupported_method",
      seen: expect.stringContaining(seen),
    });
  });

  test("of patched data are refused", async () => {
    expect(await zipOutcome(writeZip([{ ...part, flags: 0x20 }]))).toBe("unsupported_method");
  });
});

describe("local and central headers that differ (FAULTS 2.6, S3)", () => {
  test.each<readonly [string, Partial<ZipPart>]>([
    ["name", { local: { name: Buffer.from("z.csv") } }],
    ["name's length", { local: { name: Buffer.from("a.csv2") } }],
    ["method", { local: { method: 0 } }],
    ["size", { local: { size: 1 } }],
    ["compressed size", { local: { compressedSize: 1 } }],
    ["CRC-32", { local: { crc: 1 } }],
    ["encryption flag", { local: { flags: 1 } }],
    ["UTF-8 flag", { local: { flags: 0x800 } }],
    ["descriptor flag", { local: { flags: 8 } }],
    ["signature", { local: { signature: 0x04034b51 } }],
    ["Unicode path", { local: { extra: extraField(0x7075, Buffer.from([1, 0, 0, 0, 0, 65])) } }],
    ["zip64 sizes", { local: { extra: extraField(1, uint64s(5, 5)) } }],
    ["size before a descriptor", { descriptor: 16, local: { size: 1 } }],
    ["CRC-32 before a descriptor", { descriptor: 16, local: { crc: 1 } }],
    ["descriptor's CRC-32", { descriptor: 16, descriptorLies: { crc: 1 } }],
    ["descriptor's size", { descriptor: 16, descriptorLies: { size: 1 } }],
    ["descriptor's compressed size", { descriptor: 24, descriptorLies: { compressedSize: 1 } }],
  ])("in the %s are refused, wanted or not", async (_, lies) => {
    for (const parts of [
      [{ ...part, ...lies }, other],
      [other, { ...part, ...lies }],
    ]) {
      expect(await zipOutcome(writeZip(parts))).toBe("corrupt");
      expect(await zipOutcome(writeZip(parts), { wants: () => false })).toBe("corrupt");
    }
  });

  test("in the length of the extra fields are refused before the data is given", async () => {
    const zeros = { name: "zeros", method: 0, content: Buffer.alloc(100) };
    for (const parts of [[zeros], [zeros, other]]) {
      const lie = writeZip(parts);
      lie.writeUInt16LE(4, 28);
      expect(await zipOutcome(lie)).toBe("corrupt");
    }
  });

  test("a descriptor that is not there, or of no known length, is refused", async () => {
    const flags = { local: { flags: 8 }, central: { flags: 8 } };
    expect(await zipOutcome(writeZip([{ ...part, ...flags }, other]))).toBe("corrupt");
    for (const behind of [1, 8, 14, 28]) {
      expect(
        await zipOutcome(writeZip([{ ...part, ...flags, behind: Buffer.alloc(behind) }])),
      ).toBe("corrupt");
    }
  });
});

describe("bytes that belong to nothing (FAULTS 2.6, S3)", () => {
  const junk = Buffer.from("id,name\n7,Eve\n");

  test.each<readonly [string, Buffer]>([
    ["before the zip: appended to a CSV", writeZip([part], { prefix: junk, countsPrefix: false })],
    [
      "before the zip: appended to a PDF, offsets corrected",
      writeZip([part], { prefix: Buffer.from("%PDF-1.7\n") }),
    ],
    ["behind the zip", Buffer.concat([sound, junk])],
    ["behind the zip: one zero byte", Buffer.concat([sound, Buffer.alloc(1)])],
    ["behind the zip: another zip's end record", Buffer.concat([sound, writeZip([])])],
    ["another zip before", Buffer.concat([sound, sound])],
    ["between two entries", writeZip([{ ...part, behind: junk }, other])],
    ["between the last entry and the directory", writeZip([part, { ...other, behind: junk }])],
    ["between the directory and the end record", writeZip([part], { behindDirectory: junk })],
    [
      "behind the last record, counted as directory",
      writeZip([part], { behindDirectory: junk, size: 51 + junk.byteLength }),
    ],
    ["between zip64's records", writeZip([part], { isZip64: true, behindDirectory: junk })],
    ["an entry that the directory leaves out", hidden()],
  ])("%s are refused", async (_, bytes) => {
    expect(await zipOutcome(bytes)).toBe("corrupt");
  });

  /** A streaming reader sees two entries, the directory has one. */
  function hidden(): Buffer {
    const start = sound.readUInt32LE(sound.byteLength - 6);
    const end = Buffer.from(sound.subarray(-22));
    end.writeUInt16LE(1, 8);
    end.writeUInt16LE(1, 10);
    end.writeUInt32LE(51, 12);
    return Buffer.concat([sound.subarray(0, start + 51), end]);
  }

  test("a second zip in the comment of the first is refused", async () => {
    const second = writeZip([{ name: "evil.csv", content: text }]);
    // Alone, with its offsets as they are, and with offsets that count what is before.
    expect(await zipOutcome(writeZip([part], { comment: second }))).toBe("corrupt");
    const first = writeZip([part], { commentLength: second.byteLength });
    const moved = writeZip([{ name: "evil.csv", content: text }], { prefix: first });
    expect(await zipOutcome(moved)).toBe("corrupt");
  });
});

describe("end records that lie (FAULTS 2.6, S3)", () => {
  test.each([
    ["a comment longer than the file", { commentLength: 1 }, "truncated"],
    ["a comment shorter than it is", { comment: Buffer.from("cc"), commentLength: 1 }, "corrupt"],
    ["another directory's size", { size: 7 }, "corrupt"],
    ["another directory's start", { start: 7 }, "corrupt"],
    ["another part", { disk: 1 }, "unsupported_method"],
    ["zip64 numbers without zip64", { start: 0xffffffff }, "corrupt"],
    ["zip64: another count", { isZip64: true, entries64: 1 }, "corrupt"],
    ["zip64: another size", { isZip64: true, size64: 7 }, "corrupt"],
    ["zip64: another start", { isZip64: true, start64: 7 }, "corrupt"],
    ["zip64: a start of 2^63", { isZip64: true, start64: 2n ** 63n }, "corrupt"],
    ["zip64: another part", { isZip64: true, disk64: 1 }, "unsupported_method"],
    ["zip64: a locator that points elsewhere", { isZip64: true, locatorOffset: 0 }, "corrupt"],
    [
      "zip64: a locator that points behind the file",
      { isZip64: true, locatorOffset: 2 ** 40 },
      "corrupt",
    ],
    ["zip64: a record of another length", { isZip64: true, record64Size: 45 }, "corrupt"],
    ["zip64 and not: two counts", { isZip64: true, entries: 1 }, "corrupt"],
    ["zip64 and not: two starts", { isZip64: true, start: 7 }, "corrupt"],
    ["zip64 and not: two sizes", { isZip64: true, size: 7 }, "corrupt"],
  ])("%s is refused", async (_, end, code) => {
    expect(await zipOutcome(writeZip([part, other], end))).toBe(code);
  });

  test("an entry in another part is refused", async () => {
    expect(await zipOutcome(writeZip([{ ...part, central: { disk: 1 } }]))).toBe(
      "unsupported_method",
    );
  });
});

describe("what is no zip", () => {
  test.each([
    ["nothing", Buffer.alloc(0), "nothing: the file is empty"],
    ["text", Buffer.from("a,b\n1,2\n".repeat(1000)), "text"],
    ["gzip", Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]), "gzip"],
  ])("%s is told as what it is", async (_, bytes, seen) => {
    await expect(contentsOf(openZip(zipFile(bytes)))).rejects.toMatchObject({
      code: "not_this_container",
      seen,
      expected: "zip",
    });
  });

  test("an empty zip is an empty archive", async () => {
    expect(await zipOutcome(writeZip([]))).toBe("empty_archive");
  });
});
