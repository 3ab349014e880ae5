import { describe, expect, test } from "vitest";
import { type Contents, tarOutcome } from "./archive-outcome.ts";
import { pax, tarBody, writeTar } from "./tar-writer.ts";

const a = Buffer.from("id,name\n1,Ada\n".repeat(40));
const b = Buffer.alloc(512, "b");
const parts = [{ name: "a.csv", content: a }, pax({ path: "in/b.csv" }), { name: "b", content: b }];
const whole = writeTar(parts);
const contents: Contents = [
  ["a.csv", a],
  ["in/b.csv", b],
];

describe("a tar that is cut", () => {
  test("after any of its bytes is never read as a whole one", async () => {
    expect(await tarOutcome(whole)).toEqual(contents);
    const codes = new Map<string, number>();
    for (let cut = 0; cut < whole.byteLength; cut++) {
      const seen = await tarOutcome(whole.subarray(0, cut));
      // Below 262 bytes nothing says that it is a tar.
      expect(seen, `cut at ${cut}`).toBe(cut < 262 ? "not_this_container" : "truncated");
      codes.set(String(seen), (codes.get(String(seen)) ?? 0) + 1);
    }
    expect(codes.get("truncated")).toBe(whole.byteLength - 262);
  });

  test("between two entries says that its end blocks are missing", async () => {
    const cut = tarBody(parts.slice(0, 1));
    expect(await tarOutcome(cut)).toBe("truncated");
    expect(await tarOutcome(Buffer.concat([cut, Buffer.alloc(512)]))).toBe("truncated");
    expect(await tarOutcome(Buffer.concat([cut, Buffer.alloc(1024)]))).toEqual([["a.csv", a]]);
  });
});

describe("behind the end blocks", () => {
  test.each([1, 511, 512, 8192, 8193])("%i zero bytes are filling", async (length) => {
    expect(await tarOutcome(Buffer.concat([whole, Buffer.alloc(length)]))).toEqual(contents);
  });

  test.each([
    ["a byte", Buffer.from([1])],
    ["text", Buffer.from("garbage")],
    ["another tar", whole],
    ["another tar behind zero bytes", Buffer.concat([Buffer.alloc(512), whole])],
  ])("%s is refused", async (_, behind) => {
    for (const chunkSize of [7, 100_000]) {
      expect(await tarOutcome(Buffer.concat([whole, behind]), {}, chunkSize)).toBe("corrupt");
    }
  });

  test("nothing may have been announced: a header for an entry that does not come is refused", async () => {
    for (const header of [
      pax({ path: "b.csv" }),
      { type: "L", content: b, magic: "gnu" } as const,
    ]) {
      expect(await tarOutcome(writeTar([{ name: "a" }, header]))).toBe("corrupt");
    }
  });

  test("is not where one zero block stands between two entries", async () => {
    const archive = Buffer.concat([
      tarBody([{ name: "a" }]),
      Buffer.alloc(512),
      writeTar([{ name: "b" }]),
    ]);
    expect(await tarOutcome(archive)).toBe("corrupt");
  });
});

test("200 flipped bits: every one in a header or the end is noticed, the others change that one bit", async () => {
  // What each 512 bytes are: tar has a checksum of headers and of nothing else.
  const blocks = ["header", "data", "data", "header", "pax", "header", "data", "end", "end"];
  expect(blocks).toHaveLength(whole.byteLength / 512);
  const counts: Record<string, number> = {};
  const seed = 20_261_123;
  for (let flip = 0; flip < 200; flip++) {
    const bit = (flip * 2_654_435_761 + seed) % (whole.byteLength * 8);
    const at = bit >> 3;
    const damaged = Buffer.from(whole);
    damaged.writeUInt8(damaged.readUInt8(at) ^ (1 << (bit & 7)), at);
    const seen = await tarOutcome(damaged);
    const block = blocks[at >> 9];
    const label = `${block}: ${typeof seen === "string" ? "refused" : "given"}`;
    counts[label] = (counts[label] ?? 0) + 1;
    if (block === "header" || block === "end") {
      expect(seen, `bit ${bit}`).toBe(isMagic(at) ? "not_this_container" : "corrupt");
    } else if (block === "data") {
      expect((seen as Contents).map(([name]) => name)).toEqual(["a.csv", "in/b.csv"]);
      const bytes = Buffer.concat((seen as Contents).map(([, content]) => content));
      const before = Buffer.concat([a, b]);
      const changed = [...bytes].filter((byte, i) => byte !== before[i]).length;
      expect(changed, `bit ${bit}`).toBe(at >= 1072 && at < 1536 ? 0 : 1);
    } else if (typeof seen !== "string") {
      // A name that is one bit off is a name: only the whole file's checksum can tell.
      expect(seen.map(([, content]) => content)).toEqual([a, b]);
    }
  }
  expect(Object.keys(counts).sort()).toEqual([
    "data: given",
    "end: refused",
    "header: refused",
    "pax: given",
    "pax: refused",
  ]);
});

/** The first header's magic: without it and its checksum nothing says that it is a tar. */
const isMagic = (at: number): boolean => at >= 257 && at < 262;
