import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { StageError } from "@sluice/errors";
import { spool } from "@sluice/streams";
import { chunked } from "@sluice/streams/testing";
import { describe, expect, test } from "vitest";
import { openZip, type ZipFile } from "../src/index.ts";
import { contentsOf, zipFile } from "./archive-outcome.ts";
import { extraField, writeZip } from "./zip-writer.ts";

/** A file that notes what is asked of it. */
function noted(bytes: Buffer): { file: ZipFile; ranges: [number, number][]; given: () => number } {
  const ranges: [number, number][] = [];
  let given = 0;
  const inner = zipFile(bytes, 65_536);
  const file: ZipFile = {
    size: inner.size,
    async *readRange(start, end) {
      ranges.push([start, end]);
      for await (const chunk of inner.readRange(start, end)) {
        given += chunk.byteLength;
        yield chunk;
      }
    },
  };
  return { file, ranges, given: () => given };
}

const MIB = 2 ** 20;
const big = Buffer.alloc(3 * MIB);
for (let i = 0, state = 7; i < big.byteLength; i++) {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  big[i] = state >>> 24;
}
const small = Buffer.from("id\n1\n");
const stored = (
  name: string,
  content: Buffer,
): { name: string; content: Buffer; method: number } => ({
  name,
  content,
  method: 0,
});

describe("a zip that lies in a store is read by few ranges", () => {
  test("one of up to 128 KiB by one", async () => {
    const { file, ranges } = noted(writeZip([stored("a", small), stored("b", small)]));
    expect(await contentsOf(openZip(file))).toHaveLength(2);
    expect(ranges).toEqual([[0, file.size]]);
  });

  test("one that is wanted whole by two: the end, then all entries", async () => {
    const { file, ranges } = noted(writeZip(["a", "b", "c"].map((name) => stored(name, big))));
    expect(await contentsOf(openZip(file))).toHaveLength(3);
    expect(ranges).toHaveLength(2);
    expect(ranges[1]?.[0]).toBe(0);
  });

  test("one entry between large others by its own bytes and their headers", async () => {
    const names = ["a", "b", "c", "d", "e"];
    const archive = writeZip(names.map((name) => stored(name, big)));
    const { file, ranges, given } = noted(archive);
    const contents = await contentsOf(openZip(file, { wants: (name) => name === "c" }));
    expect(contents).toEqual([["c", big]]);
    expect(ranges.length).toBeLessThan(8);
    expect(given()).toBeLessThan(big.byteLength + 4 * 131_072 + 131_072);
  });

  test("small entries that are not wanted are read over, not asked for each", async () => {
    const names = Array.from({ length: 500 }, (_, i) => stored(`${i}`, big.subarray(0, 1000)));
    const { file, ranges } = noted(writeZip(names));
    expect(await contentsOf(openZip(file, { wants: (name) => name === "250" }))).toHaveLength(1);
    expect(ranges).toHaveLength(2);
  });

  test("a directory larger than the end that is read first takes one more", async () => {
    const names = Array.from({ length: 3000 }, (_, i) =>
      stored(`a/name/as/long/as/they/are/in/the/wild/${i}`, small),
    );
    const { file, ranges } = noted(writeZip(names));
    expect(await contentsOf(openZip(file))).toHaveLength(3000);
    expect(ranges).toHaveLength(3);
  });

  test("a local header with long extra fields by one more, whatever the store gives beyond the first", async () => {
    const extra = extraField(0x9999, Buffer.alloc(60_000));
    const parts = ["a", "b"].map((name) => ({ ...stored(name, big), local: { extra } }));
    const archive = writeZip(parts);
    const wants = (name: string): boolean => name === "b";
    const { file, ranges } = noted(archive);
    expect(await contentsOf(openZip(file, { wants }))).toEqual([["b", big]]);
    expect(ranges).toHaveLength(4);
    const generous: ZipFile = {
      size: archive.byteLength,
      async *readRange(start, end) {
        const isTail = end === archive.byteLength;
        yield Buffer.concat([archive.subarray(start, end), Buffer.alloc(isTail ? 0 : 99_999, 1)]);
      },
    };
    expect(await contentsOf(openZip(generous, { wants }))).toEqual([["b", big]]);
  });

  test("descriptors behind large entries that are not wanted are verified all the same", async () => {
    const parts = [
      { ...stored("a", big), descriptor: 24, descriptorLies: { size: 1 } },
      stored("b", small),
    ];
    const wants = (name: string): boolean => name === "b";
    await expect(contentsOf(openZip(noted(writeZip(parts)).file, { wants }))).rejects.toMatchObject(
      {
        code: "corrupt",
        coordinate: { entry: "a" },
      },
    );
  });
});

test("a zip that was spooled gives the same as one that is read where it lies", async () => {
  const archive = writeZip([
    stored("a", big),
    { name: "b", content: Buffer.alloc(MIB, "b"), descriptor: 16 },
    stored("c", small),
  ]);
  const directory = await mkdtemp(join(tmpdir(), "sluice-test-"));
  try {
    await using spooled = await spool(chunked(archive, 100_000), {
      directory,
      maxSpoolBytes: archive.byteLength,
      toError: (message) => new StageError("decompress", "limit_exceeded", message),
    });
    for (const wanted of ["abc", "c", "a"]) {
      const wants = (name: string): boolean => wanted.includes(name);
      const direct = await contentsOf(openZip(noted(archive).file, { wants }));
      expect(direct).toHaveLength(wanted.length);
      expect(await contentsOf(openZip(spooled, { wants }))).toEqual(direct);
    }
  } finally {
    await rm(directory, { recursive: true });
  }
});
