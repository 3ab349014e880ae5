import type { Entry } from "@sluice/schema";
import { chunked, probe } from "@sluice/streams/testing";
import { describe, expect, test } from "vitest";
import { type ArchiveOptions, openZip, unarchiveTar, type ZipFile } from "../src/index.ts";
import { zipFile } from "./archive-outcome.ts";
import { bytesOf } from "./bytes-of.ts";
import { writeTar } from "./tar-writer.ts";
import { writeZip } from "./zip-writer.ts";

/** Bytes that do not compress, the same at every run. */
const content = Buffer.alloc(50_000);
for (let i = 0, state = 1; i < content.byteLength; i++) {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  content[i] = state >>> 24;
}
const parts = ["a", "b", "c"].map((name) => ({ name, content }));
const tar = writeTar(parts);
const zip = writeZip(parts);

/** An archive over a source that tells whether it was closed. */
interface Opened {
  readonly entries: AsyncIterable<Entry>;
  readonly isClosed: () => boolean;
}

function openedTar(bytes = tar, options: ArchiveOptions = {}): Opened {
  const source = probe(chunked(bytes, 512));
  return { entries: unarchiveTar(options)(source), isClosed: () => source.closed };
}

function openedZip(bytes = zip, options: ArchiveOptions = {}): Opened {
  let open = 0;
  const file: ZipFile = {
    size: bytes.byteLength,
    async *readRange(start, end) {
      open++;
      try {
        yield* chunked(bytes.subarray(start, end), 512);
      } finally {
        open--;
      }
    },
  };
  return { entries: openZip(file, options), isClosed: () => open === 0 };
}

describe.each([
  ["tar", openedTar],
  ["zip", openedZip],
])("entries of a %s", (kind, open) => {
  test("are passed over, whole or in part, by asking for the next", async () => {
    const { entries, isClosed } = open();
    const names: string[] = [];
    for await (const { name, bytes } of entries) {
      names.push(name);
      if (name === "a") continue;
      if (name === "b") {
        for await (const chunk of bytes) {
          expect(chunk.byteLength).toBeGreaterThan(0);
          break;
        }
        continue;
      }
      expect((await bytesOf(bytes)).equals(content)).toBe(true);
    }
    expect(names).toEqual(["a", "b", "c"]);
    expect(isClosed()).toBe(true);
  });

  test("cannot be read after the next was asked for, nor twice", async () => {
    const kept: Entry[] = [];
    for await (const entry of open().entries) {
      for (const old of kept) await expect(bytesOf(old.bytes)).rejects.toThrow(TypeError);
      kept.push(entry);
      if (kept.length === 3) {
        await bytesOf(entry.bytes);
        await expect(bytesOf(entry.bytes)).rejects.toThrow(TypeError);
      }
    }
    for (const old of kept) await expect(bytesOf(old.bytes)).rejects.toThrow(TypeError);
  });

  test("cannot be read on after the next was asked for", async () => {
    const entries = open().entries[Symbol.asyncIterator]();
    const first = (await entries.next()).value as Entry;
    const bytes = first.bytes[Symbol.asyncIterator]();
    await bytes.next();
    await entries.next();
    await expect(bytes.next()).rejects.toThrow(TypeError);
    await entries.return?.();
  });

  test("close the source when they are left: before reading, while reading, between two", async () => {
    for (const leave of ["before", "while", "after"]) {
      const { entries, isClosed } = open();
      for await (const { bytes } of entries) {
        if (leave === "while") for await (const _ of bytes) break;
        if (leave === "after") await bytesOf(bytes);
        break;
      }
      expect(isClosed(), leave).toBe(true);
    }
  });

  test("close the source when their reader throws", async () => {
    const { entries, isClosed } = open();
    const broken = new Error("the reader broke");
    const reading = (async () => {
      for await (const { bytes } of entries) for await (const _ of bytes) throw broken;
    })();
    await expect(reading).rejects.toBe(broken);
    expect(isClosed()).toBe(true);
  });

  test("that failed while they were read fail the archive, even if that was not heeded", async () => {
    const damaged = kind === "zip" ? Buffer.from(zip) : tar.subarray(0, 40_000);
    if (kind === "zip") damaged.writeUInt8(damaged.readUInt8(20_000) ^ 1, 20_000);
    const { entries, isClosed } = open(damaged);
    const reading = (async () => {
      for await (const { bytes } of entries) await bytesOf(bytes).catch(() => "not heeded");
    })();
    await expect(reading).rejects.toMatchObject({ name: "StageError", coordinate: { entry: "a" } });
    expect(isClosed()).toBe(true);
  });

  test("are not read before they are asked for", async () => {
    const { entries, isClosed } = open();
    expect(isClosed()).toBe(kind === "zip");
    const iterator = entries[Symbol.asyncIterator]();
    await iterator.next();
    await iterator.return?.();
    expect(isClosed()).toBe(true);
  });

  test("that are not wanted are not inflated", async () => {
    const damaged = Buffer.from(kind === "zip" ? zip : tar);
    damaged.fill(0xff, 10_000, 12_000);
    const names: string[] = [];
    for await (const { name, bytes } of open(damaged, { wants: (name) => name !== "a" }).entries) {
      names.push(name);
      expect((await bytesOf(bytes)).equals(content)).toBe(true);
    }
    expect(names).toEqual(["b", "c"]);
  });
});

test("a zip's reader that fails, fails the archive with its own error", async () => {
  const broken = new Error("the range broke");
  const file: ZipFile = {
    size: zip.byteLength,
    async *readRange(start, end) {
      yield zip.subarray(start, start === 0 ? 100_000 : end);
      if (start === 0) throw broken;
    },
  };
  await expect(
    (async () => {
      for await (const { bytes } of openZip(file)) await bytesOf(bytes);
    })(),
  ).rejects.toBe(broken);
});

test("a zip's reader that gives less than a range is no end of the zip", async () => {
  for (const missing of [1, 1000]) {
    const file: ZipFile = {
      size: zip.byteLength,
      async *readRange(start, end) {
        yield zip.subarray(start, start === 0 ? end - missing : end);
      },
    };
    await expect(
      (async () => {
        for await (const { bytes } of openZip(file)) await bytesOf(bytes);
      })(),
    ).rejects.toMatchObject({ code: "truncated" });
  }
});

test("chunks of one byte give the same entries from a zip", async () => {
  const names: string[] = [];
  for await (const { name, bytes } of openZip(
    zipFile(writeZip(parts.map((part) => ({ ...part, content: content.subarray(0, 700) }))), 1),
  )) {
    names.push(name);
    expect((await bytesOf(bytes)).equals(content.subarray(0, 700))).toBe(true);
  }
  expect(names).toEqual(["a", "b", "c"]);
});
