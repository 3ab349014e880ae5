import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";
import { chunked } from "@sluice/streams/testing";
import { describe, expect, test } from "vitest";
import { type DecompressOptions, decompress } from "../src/index.ts";
import { bytesOf, outcome } from "./bytes-of.ts";

const text = Buffer.from("a,b\n1,2\n");
const zip = Buffer.from("PK\x03\x04\x14\0\0\0", "latin1");
const tar = Buffer.alloc(1024);
tar.write("ustar", 257);
const gzip = gzipSync(text);
/** As tar was written before it had a magic number. */
const oldTar = Buffer.alloc(1024);
oldTar.write("a.csv");
oldTar.write("000644 \0", 100);
oldTar.write("00000000000 ", 124);
oldTar.write("  3131\0 ", 148);

type Case = readonly [DecompressOptions, Buffer, string, { seen: string; expected: string }];

/** What differs, and the patch to the settings that the message proposes. */
const disagreements: readonly Case[] = [
  [{ compression: "gzip" }, text, "Set compression: none.", { seen: "text", expected: "gzip" }],
  [
    { compression: "gzip" },
    Buffer.from("28b52ffd2400", "hex"),
    "Set compression: zstd.",
    { seen: "zstd", expected: "gzip" },
  ],
  [
    { compression: "gzip" },
    zip,
    "Set compression: none, archive: zip.",
    { seen: "zip", expected: "gzip" },
  ],
  [
    { compression: "gzip", archive: "zip" },
    zip,
    "Set compression: none.",
    { seen: "zip", expected: "gzip" },
  ],
  [
    { compression: "none" },
    gzip,
    "Set compression: gzip.",
    { seen: "gzip", expected: "no compression" },
  ],
  [{ compression: "none" }, zip, "Set archive: zip.", { seen: "zip", expected: "a plain file" }],
  [{ compression: "auto" }, tar, "Set archive: tar.", { seen: "tar", expected: "a plain file" }],
  [
    { compression: "auto", archive: "zip" },
    tar,
    "Set archive: tar.",
    { seen: "tar", expected: "zip" },
  ],
  [
    { compression: "auto", archive: "zip" },
    text,
    "Remove the archive setting.",
    { seen: "text", expected: "zip" },
  ],
  [
    { compression: "gzip" },
    gzipSync(tar),
    "the content of the gzip container is tar. Set archive: tar.",
    { seen: "tar", expected: "a plain file" },
  ],
  [
    { compression: "gzip", archive: "tar" },
    gzipSync(zip),
    "the content of the gzip container is zip. Set archive: zip.",
    { seen: "zip", expected: "tar" },
  ],
  [{ compression: "brotli" }, gzip, "Set compression: gzip.", { seen: "gzip", expected: "brotli" }],
  [
    { compression: "deflate" },
    text,
    "Set compression: none.",
    { seen: "text", expected: "deflate" },
  ],
  [
    { compression: "auto", archive: "tar" },
    gzip,
    "the content of the gzip container is text. Remove the archive setting.",
    { seen: "text", expected: "tar" },
  ],
];

describe("settings that differ from the bytes", () => {
  test.each(disagreements)(
    "%o: is refused with the patch",
    async (options, bytes, patch, facts) => {
      const run = bytesOf(decompress(options)(chunked(bytes, 3)));
      await expect(run).rejects.toMatchObject({
        code: "not_this_container",
        message: expect.stringContaining(patch),
        ...facts,
      });
    },
  );
});

describe("settings that fit the bytes", () => {
  test.each<[DecompressOptions, Buffer, Buffer]>([
    [{ compression: "auto" }, text, text],
    [{ compression: "none" }, text, text],
    [{ compression: "auto" }, gzip, text],
    [{ compression: "auto", archive: "zip" }, zip, zip],
    [{ compression: "none", archive: "tar" }, tar, tar],
    [{ compression: "gzip", archive: "tar" }, gzipSync(tar), tar],
    [{ compression: "brotli" }, brotliCompressSync(text), text],
    [{ compression: "deflate", archive: "tar" }, deflateSync(tar), tar],
    [{ compression: "none", archive: "tar" }, oldTar, oldTar],
    // brotli and deflate show nothing by which they could be told: only their names open them.
    [{ compression: "auto" }, deflateSync(text), deflateSync(text)],
    // An archive without entries; its reader says so.
    [{ compression: "none", archive: "tar" }, Buffer.alloc(10_240), Buffer.alloc(10_240)],
  ])("%o: the content comes out", async (options, bytes, wanted) => {
    expect(await outcome(bytes, options, 7)).toEqual(wanted);
  });
});

describe("what is not opened is refused by name", () => {
  test.each([
    ["7z", Buffer.from("377abcaf271c0004", "hex")],
    ["rar", Buffer.from("526172211a070100", "hex")],
    ["lz4 legacy", Buffer.from("02214c1800000000", "hex")],
    ["compress", Buffer.from("1f9d9061", "hex")],
  ])("%s, whatever the settings say", async (name, bytes) => {
    for (const compression of ["auto", "none", "gzip"] as const) {
      const run = bytesOf(decompress({ compression })(chunked(bytes, 3)));
      await expect(run).rejects.toMatchObject({ code: "unsupported_method", seen: name });
    }
  });
});

describe("the proposal", () => {
  test("is left out where the bytes say nothing", async () => {
    const noise = Buffer.from("0001020300", "hex");
    const run = bytesOf(decompress({ compression: "xz" })(chunked(noise, 3)));
    await expect(run).rejects.toMatchObject({
      code: "not_this_container",
      rawMessage: "The compression is set to xz; the bytes are binary data of an unknown kind.",
    });
  });
});

describe("layers of compression", () => {
  test("are opened once: what is inside the first is named and refused", async () => {
    const deep = [1, 2, 3, 4, 5].reduce((bytes) => gzipSync(bytes), text);
    const run = bytesOf(decompress({ compression: "auto" })(chunked(deep, 50)));
    await expect(run).rejects.toMatchObject({
      code: "unsupported_method",
      seen: "gzip inside gzip",
    });
  });
});
