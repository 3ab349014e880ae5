import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { crc32 } from "node:zlib";
import { describe, expect, test } from "vitest";
import { outcome } from "./bytes-of.ts";

const corpus = fileURLToPath(new URL("../../../../shared/corpora/go-stdlib/", import.meta.url));
const present = existsSync(corpus);
const names = (folder: string, end: string): string[] =>
  present ? readdirSync(corpus + folder).filter((name) => name.endsWith(end)) : [];
const read = (path: string): Buffer => readFileSync(corpus + path);
const absent = present ? "" : " (corpus absent: skipped)";

describe.skipIf(!present)(`go-stdlib gzip files, 2 of 2${absent}`, () => {
  test("encoding/json's code.json.gz opens as the JSON that it is", async () => {
    const content = await outcome(read("encoding-json/code.json.gz"), { compression: "gzip" });
    expect(Object.keys(JSON.parse(content.toString()))).toContain("tree");
  });

  // Go's issue 6550: a damaged file on which its reader once did not end.
  test("issue6550 ends with a code", async () => {
    const file = read("compress-gzip/issue6550.gz.base64").toString("latin1");
    expect(await outcome(Buffer.from(file, "base64"), { compression: "gzip" })).toBe("corrupt");
  });
});

describe.skipIf(!present)(`go-stdlib bzip2 files, 7 of 7${absent}`, () => {
  const open = (name: string) => outcome(read(`compress-bzip2/${name}`), { compression: "bzip2" });

  test.each(names("compress-bzip2", ".bin"))("%s has its twin's bytes", async (twin) => {
    expect(await open(twin.replace(".bin", ".bz2"))).toEqual(read(`compress-bzip2/${twin}`));
  });

  test("pass-sawtooth is 1 MiB of bytes that count up", async () => {
    const wanted = Buffer.from(Uint8Array.from({ length: 2 ** 20 }, (_, i) => i));
    expect(wanted.equals((await open("pass-sawtooth.bz2")) as Buffer)).toBe(true);
  });

  test("fail-issue5747 is refused", async () => {
    expect(await open("fail-issue5747.bz2")).toBe("corrupt");
  });

  // Each block's CRC-32 vouches for the content; the sizes are Go's.
  test.each([
    ["e.txt.bz2", 100_003, "2.71828"],
    ["Isaac.Newton-Opticks.txt.bz2", 567_198, "Produced by"],
    ["random.data.bz2", 16_384, ""],
  ])("%s has %i bytes", async (name, size, inside) => {
    const content = (await open(name)) as Buffer;
    expect(content).toHaveLength(size);
    expect(content.subarray(0, 2000).toString("latin1")).toContain(inside);
  });

  test("none is left out", () => {
    expect(names("compress-bzip2", ".bz2")).toHaveLength(7);
  });
});

/**
 * Go's deflate files are single blocks, not the last of their stream, padded to a byte with zero bits.
 * Those bits may begin an empty stored block or leave room for one, so that one of two endings fits.
 */
async function inflatedBlock(block: Buffer, content: Buffer): Promise<Buffer | string> {
  const trailer = Buffer.alloc(8);
  trailer.writeUInt32LE(crc32(content), 0);
  trailer.writeUInt32LE(content.byteLength, 4);
  const header = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]);
  const last = Buffer.from([1, 0, 0, 0xff, 0xff]);
  const started = Buffer.concat([Buffer.from([0, 0, 0xff, 0xff]), last]);
  let seen: Buffer | string = "no ending fits";
  for (const end of [last, started, Buffer.concat([Buffer.alloc(1), started])]) {
    const file = Buffer.concat([header, block, end, trailer]);
    seen = await outcome(file, { compression: "gzip" }, 100);
    if (typeof seen !== "string") return seen;
  }
  return seen;
}

describe.skipIf(!present)(`go-stdlib deflate blocks${absent}`, () => {
  const ends = [".golden", ".dyn.expect", ".wb.expect"];
  const blocks = [...ends, ".dyn.expect-noinput", ".wb.expect-noinput"]
    .flatMap((end) =>
      names("compress-flate", end).map((name) => [name, name.replace(end, ".in")] as const),
    )
    // Of these two the corpus does not say what they hold.
    .filter(([name]) => !name.startsWith("null-long-match"));

  test("41 of 43 have a content to compare with", () => {
    expect(blocks).toHaveLength(41);
  });

  test.each(blocks)("%s inflates to %s", async (name, input) => {
    const content = read(`compress-flate/${input}`);
    const seen = await inflatedBlock(read(`compress-flate/${name}`), content);
    expect(typeof seen === "string" ? seen : seen.equals(content)).toBe(true);
  });
});
