import { zstdCompressSync } from "node:zlib";
import { chunked, countedMemory } from "@sluice/streams/testing";
import { describe, expect, test } from "vitest";
import { decompress, openZip } from "../src/index.ts";
import { contentsOf, zipFile } from "./archive-outcome.ts";
import { rows, sample } from "./samples.ts";
import { writeZip } from "./zip-writer.ts";

/** A frame whose header asks for a window of 8 MiB (RFC 8878, 3.1.1.1.2), with one raw block of a byte. */
const WINDOW_BYTES = 8 * 2 ** 20;
const wide = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 13 << 3, 0x09, 0x00, 0x00, 0x41]);

type Options = Parameters<typeof decompress>[0];
const open = async (bytes: Uint8Array, options: Options): Promise<Buffer> =>
  Buffer.concat(await Array.fromAsync(decompress(options)(chunked(bytes, 1000))));

describe("history", () => {
  test("of zstd is held as its frames ask for it, and given back at the end", async () => {
    const memory = countedMemory();
    expect(await open(wide, { compression: "zstd", memory })).toEqual(Buffer.from("A"));
    expect(memory.peak).toBe(WINDOW_BYTES);
    expect(memory.held).toBe(0);
  });

  test("of zstd beyond what a task may hold is refused before the engine sees it", async () => {
    const memory = countedMemory(WINDOW_BYTES - 1);
    await expect(open(wide, { compression: "zstd", memory })).rejects.toMatchObject({
      stage: "decompress",
      code: "limit_exceeded",
      message: expect.stringContaining(`maxBytes = ${WINDOW_BYTES - 1}`),
    });
    const small = zstdCompressSync("rows");
    expect(await open(small, { compression: "zstd", memory })).toEqual(Buffer.from("rows"));
  });

  test("of xz is held as far as the content fills it, whatever its header asks for", async () => {
    const memory = countedMemory();
    expect(await open(sample("xz"), { compression: "xz", memory })).toEqual(rows);
    expect(memory.peak).toBeGreaterThanOrEqual(2 ** 16);
    expect(memory.peak).toBeLessThan(4 * rows.byteLength + 2 ** 18);
    expect(memory.held).toBe(0);
    const tight = countedMemory(2 ** 16 - 1);
    await expect(open(sample("xz"), { compression: "xz", memory: tight })).rejects.toMatchObject({
      code: "limit_exceeded",
    });
  });
});

test("a zip's directory is held while its entries are read", async () => {
  const zip = writeZip([{ name: "a.csv", content: rows }]);
  const memory = countedMemory();
  for await (const { bytes } of openZip(zipFile(zip), { memory })) {
    await Array.fromAsync(bytes);
    expect(memory.held).toBeGreaterThan(0);
  }
  expect(memory.held).toBe(0);
  const tight = countedMemory(10);
  await expect(contentsOf(openZip(zipFile(zip), { memory: tight }))).rejects.toMatchObject({
    stage: "decompress",
    code: "limit_exceeded",
  });
});
