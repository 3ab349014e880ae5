import { randomBytes } from "node:crypto";
import { crc32, deflateRawSync, gzipSync } from "node:zlib";
import { chunked, probe } from "@sluice/streams/testing";
import { describe, expect, test } from "vitest";
import { decompress } from "../src/index.ts";
import { bytesOf, outcome } from "./bytes-of.ts";

const gzip = { compression: "gzip" } as const;
const text = Buffer.from("id,name\n1,Ada\n2,Grace\n".repeat(40));
const member = gzipSync(text);

/** A block as bgzip writes it: its own length stands in an extra field. */
function bgzipBlock(content: Uint8Array): Buffer {
  const data = deflateRawSync(content);
  const header = Buffer.from([0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff, 6, 0, 0x42, 0x43, 2, 0, 0, 0]);
  header.writeUInt16LE(header.byteLength + data.byteLength + 8 - 1, 16);
  const trailer = Buffer.alloc(8);
  trailer.writeUInt32LE(crc32(content), 0);
  trailer.writeUInt32LE(content.byteLength, 4);
  return Buffer.concat([header, data, trailer]);
}

// Attack B10.
describe("gzip members", () => {
  test.each([1, 3, member.byteLength, member.byteLength + 1, 100_000])(
    "are all opened, from chunks of %i bytes",
    async (chunkSize) => {
      const three = Buffer.concat([member, gzipSync("middle"), member]);
      expect(await outcome(three, gzip, chunkSize)).toEqual(
        Buffer.concat([text, Buffer.from("middle"), text]),
      );
    },
  );

  test("are opened as bgzip writes them, its empty last block included", async () => {
    const blocks = Array.from({ length: 50 }, (_, i) => Buffer.from(`block ${i}\n`.repeat(i)));
    const file = Buffer.concat([...blocks.map(bgzipBlock), bgzipBlock(new Uint8Array(0))]);
    expect(await outcome(file, gzip, 64)).toEqual(Buffer.concat(blocks));
  });

  test("are opened with a name, a comment, an extra field and a header checksum", async () => {
    const plain = Buffer.from([0x1f, 0x8b, 8, 0x1e, 0, 0, 0, 0, 0, 3, 2, 0, 7, 7]);
    const start = Buffer.concat([plain, Buffer.from("name\0comment\0")]);
    const crc = Buffer.alloc(2);
    crc.writeUInt16LE(crc32(start) & 0xffff);
    expect(await outcome(Buffer.concat([start, crc, member.subarray(10)]), gzip, 5)).toEqual(text);
    crc.writeUInt16LE((crc32(start) + 1) & 0xffff);
    expect(await outcome(Buffer.concat([start, crc, member.subarray(10)]), gzip, 5)).toBe(
      "checksum_mismatch",
    );
  });

  // Attack B6.
  test("are opened once: gzip inside gzip is refused, so that a quine ends too", async () => {
    expect(await outcome(gzipSync(member), gzip)).toBe("unsupported_method");
    expect(await outcome(gzipSync(member), { compression: "auto" })).toBe("unsupported_method");
  });

  test("may hold no bytes at all", async () => {
    expect(await outcome(gzipSync(""), gzip)).toEqual(Buffer.alloc(0));
  });
});

// Attack B9.
describe("after the last member", () => {
  test.each([1, 8, 600])("%i zero bytes are padding", async (length) => {
    const padded = Buffer.concat([member, Buffer.alloc(length)]);
    for (const chunkSize of [1, member.byteLength, 100_000]) {
      expect(await outcome(padded, gzip, chunkSize)).toEqual(text);
    }
  });

  test.each([
    ["text", Buffer.from("garbage")],
    ["one byte", Buffer.from([7])],
    ["bytes after zero padding", Buffer.from([0, 0, 0, 7])],
    ["a member after zero padding", Buffer.concat([Buffer.alloc(512), member])],
  ])("%s is refused", async (_, garbage) => {
    const bytes = Buffer.concat([member, garbage]);
    for (const chunkSize of [1, member.byteLength, 100_000]) {
      expect(await outcome(bytes, gzip, chunkSize)).toBe("corrupt");
    }
  });
});

// Attack B9.
describe("damage", () => {
  test.each([
    ["CRC-32", 8],
    ["length", 4],
  ])("in a trailer's %s is a mismatch", async (_, fromEnd) => {
    const bytes = Buffer.from(member);
    bytes.writeUInt8(bytes.readUInt8(bytes.byteLength - fromEnd) ^ 1, bytes.byteLength - fromEnd);
    expect(await outcome(bytes, gzip)).toBe("checksum_mismatch");
    expect(await outcome(Buffer.concat([bytes, member]), gzip)).toBe("checksum_mismatch");
  });

  test("of the method's byte is a method that nobody knows", async () => {
    const bytes = Buffer.from(member);
    bytes.writeUInt8(7, 2);
    expect(await outcome(bytes, gzip)).toBe("unsupported_method");
  });

  test("says how far into the container it came", async () => {
    const run = bytesOf(decompress(gzip)(chunked(member.subarray(0, 30), 7)));
    await expect(run).rejects.toMatchObject({
      code: "truncated",
      coordinate: { layers: [{ kind: "gzip", offset: 30 }] },
    });
  });
});

describe("limits", () => {
  const zeros = gzipSync(Buffer.alloc(5_000_000));

  test.each([
    [4_999_999, "limit_exceeded"],
    [5_000_000, Buffer.alloc(5_000_000)],
  ])("maxOutputBytes = %i", async (maxOutputBytes, wanted) => {
    const seen = await outcome(zeros, { ...gzip, maxOutputBytes });
    expect(typeof seen === "string" ? seen : seen.equals(wanted as Buffer)).toBe(
      typeof wanted === "string" ? wanted : true,
    );
  });

  test("the ratio counts only once ratioFromBytes came out", async () => {
    expect(await outcome(zeros, { ...gzip, maxRatio: 100, ratioFromBytes: 1_000_000 })).toBe(
      "limit_exceeded",
    );
    expect(
      await outcome(zeros, { ...gzip, maxRatio: 100, ratioFromBytes: 5_000_000 }),
    ).toHaveLength(5_000_000);
    expect(await outcome(zeros, { ...gzip, ratioFromBytes: 1_000_000 })).toHaveLength(5_000_000);
  });

  test("name their option", async () => {
    await expect(
      bytesOf(decompress({ ...gzip, maxOutputBytes: 10 })(chunked(zeros, 1000))),
    ).rejects.toThrow("maxOutputBytes = 10");
  });
});

describe("the pull", () => {
  test("of one output chunk does not read the whole input", async () => {
    const random = randomBytes(400_000);
    const compressed = gzipSync(random);
    const source = probe(chunked(compressed, 4096));
    for await (const _ of decompress(gzip)(source)) break;
    expect(source.pulled * 4096).toBeLessThan(compressed.byteLength / 2);
    expect(source.closed).toBe(true);
  });
});
