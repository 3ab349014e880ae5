import { deflateRawSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { type Contents, zipOutcome } from "./archive-outcome.ts";
import { extraField, writeZip } from "./zip-writer.ts";

const text = Buffer.from("id,name\n1,Ada\n2,Grace\n".repeat(3));
const samples: Readonly<Record<string, Buffer>> = {
  plain: writeZip([
    { name: "a.csv", content: text },
    { name: "in/b.csv", content: text, method: 0 },
  ]),
  "zip64, descriptors, comment": writeZip(
    [
      { name: "a.csv", content: text, descriptor: 24, isZip64: true },
      {
        name: "in/b.csv",
        content: text,
        method: 0,
        descriptor: 16,
        extra: extraField(0x5455, Buffer.alloc(5)),
      },
    ],
    { isZip64: true, comment: Buffer.from("a comment") },
  ),
};
const contents: Contents = [
  ["a.csv", text],
  ["in/b.csv", text],
];

describe.each(Object.keys(samples))("a zip (%s)", (name) => {
  const whole = samples[name] ?? Buffer.alloc(0);

  test("that is cut after any of its bytes is refused", async () => {
    expect(await zipOutcome(whole)).toEqual(contents);
    for (let cut = 0; cut < whole.byteLength; cut++) {
      const seen = await zipOutcome(whole.subarray(0, cut));
      // Below the first header's four bytes nothing says that it is a zip.
      expect(seen, `cut at ${cut}`).toBe(cut < 4 ? "not_this_container" : "truncated");
    }
  });

  test("that lost its first bytes, or some in its middle, is refused", async () => {
    for (let cut = 1; cut < whole.byteLength; cut += 3) {
      expect(typeof (await zipOutcome(whole.subarray(cut))), `from ${cut}`).toBe("string");
      const gap = Buffer.concat([whole.subarray(0, cut), whole.subarray(cut + 1)]);
      const seen = await zipOutcome(gap);
      // Only a byte of the comment may go, if its length goes with it: it does not.
      expect(typeof seen, `without ${cut}`).toBe("string");
    }
  });

  test("with a flipped bit, every one of it, gives the same entries or none", async () => {
    const counts = new Map<string, number>();
    const unnoticed = new Set<number>();
    for (let bit = 0; bit < whole.byteLength * 8; bit++) {
      const damaged = Buffer.from(whole);
      damaged.writeUInt8(damaged.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      const seen = await zipOutcome(damaged);
      const label = typeof seen === "string" ? seen : "same entries";
      counts.set(label, (counts.get(label) ?? 0) + 1);
      if (typeof seen === "string") continue;
      expect(seen, `bit ${bit}`).toEqual(contents);
      unnoticed.add(bit >> 3);
    }
    expect(counts.get("corrupt")).toBeGreaterThan(500);
    expect(counts.get("checksum_mismatch")).toBeGreaterThan(100);
    // What nothing is read from: versions, times, attributes, a comment's text, unknown extra fields.
    expect([...unnoticed].filter((at) => !isUnread(whole, at))).toEqual([]);
  });
});

/** Whether a byte of the zip is one that decides about no name and no content. */
function isUnread(zip: Buffer, at: number): boolean {
  const end = zip.lastIndexOf("PK\x05\x06", undefined, "latin1");
  if (at >= end + 22) return true;
  for (let start = zip.indexOf("PK"); start !== -1; start = zip.indexOf("PK", start + 2)) {
    const i = at - start;
    const signature = zip.readUInt32LE(start);
    // Version needed, general flags of compression, time and date; of records also version made by and attributes.
    if (signature === 0x04034b50) {
      const extra = 30 + zip.readUInt16LE(start + 26);
      if ([4, 5, 6, 7, 10, 11, 12, 13].includes(i)) return true;
      const dataStart = extra + zip.readUInt16LE(start + 28);
      if (i >= extra && i < dataStart) return true;
      // The bits that fill up the last byte of a deflate stream.
      if (i === dataStart + deflateRawSync(text).byteLength - 1) return true;
    }
    if (signature === 0x02014b50) {
      const extra = 46 + zip.readUInt16LE(start + 28);
      if ([4, 5, 6, 7, 8, 9, 12, 13, 14, 15].includes(i) || (i >= 36 && i < 42)) return true;
      if (i >= extra && i < extra + zip.readUInt16LE(start + 30)) return true;
    }
    if (signature === 0x06064b50 && i >= 12 && i < 16) return true;
    // The locator's count of parts, of which writers put in 0 or 1.
    if (signature === 0x07064b50 && i >= 16 && i < 20) return true;
  }
  return false;
}
