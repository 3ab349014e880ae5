import { createDeflateRaw } from "node:zlib";
import { describe, expect, test } from "vitest";
import { openZip, unarchiveTar, type ZipFile } from "../src/index.ts";
import { paxRecords, tarHeader } from "./tar-writer.ts";
import { extraField, uint64s, writeZip } from "./zip-writer.ts";

const GIB = 2 ** 30;

/** Reads all bytes and gives how many there were and how far memory rose while they came. */
async function rise(
  run: AsyncIterable<{ bytes: AsyncIterable<Uint8Array> }>,
): Promise<{ size: number; bytes: number; error: unknown }> {
  const before = process.memoryUsage.rss();
  let peak = 0;
  let size = 0;
  try {
    for await (const entry of run) {
      for await (const chunk of entry.bytes) {
        size += chunk.byteLength;
        if (size % 2 ** 24 < chunk.byteLength)
          peak = Math.max(peak, process.memoryUsage.rss() - before);
      }
    }
  } catch (error) {
    return { size, bytes: peak, error };
  }
  return { size, bytes: peak, error: undefined };
}

/** Raw deflate data of so many MiB of zeros, made of one piece over and over. */
async function deflatedZeros(mebibytes: number): Promise<{ data: Buffer; piece: Buffer }> {
  const engine = createDeflateRaw({ level: 9 });
  const chunks: Buffer[] = [];
  engine.on("data", (chunk: Buffer) => chunks.push(chunk));
  const write = async (bytes: Buffer): Promise<Buffer> => {
    await new Promise((resolve) => engine.write(bytes, resolve));
    // A full flush ends at a byte and forgets what was before: the piece may be repeated.
    await new Promise<void>((resolve) => engine.flush(3, resolve));
    return Buffer.concat(chunks.splice(0));
  };
  await write(Buffer.alloc(2 ** 20));
  const piece = await write(Buffer.alloc(2 ** 20));
  return {
    piece,
    data: Buffer.concat([...Array<Buffer>(mebibytes).fill(piece), Buffer.from([3, 0])]),
  };
}

describe("what says it is 10 GiB", () => {
  test("in a zip that says so of 1 MiB gives that, and is refused", async () => {
    const { data } = await deflatedZeros(1);
    const sizes = extraField(1, uint64s(10 * GIB));
    const lies = { size: 0xffffffff, extra: sizes };
    const bomb = writeZip([
      {
        name: "zeros",
        data,
        local: { ...lies, extra: extraField(1, uint64s(10 * GIB)) },
        central: lies,
      },
    ]);
    const file: ZipFile = {
      size: bomb.byteLength,
      async *readRange(start, end) {
        yield bomb.subarray(start, end);
      },
    };
    const seen = await rise(openZip(file));
    expect(seen.error).toMatchObject({ code: "corrupt" });
    expect(seen.size).toBe(2 ** 20);
    expect(seen.bytes).toBeLessThan(100 * 2 ** 20);
  });

  test("in a zip of 1 GiB that says 1 byte is refused before a chunk is given (FAULTS 2.6, B4)", async () => {
    const { data } = await deflatedZeros(1024);
    const bomb = writeZip([{ name: "zeros", data, local: { size: 1 }, central: { size: 1 } }]);
    const file: ZipFile = {
      size: bomb.byteLength,
      async *readRange(start, end) {
        yield bomb.subarray(start, end);
      },
    };
    const seen = await rise(openZip(file));
    expect(seen).toMatchObject({ size: 0, error: { code: "corrupt" } });
    expect(seen.bytes).toBeLessThan(100 * 2 ** 20);
  });

  test("in a zip that is 10 GiB of zeros keeps memory flat up to the limit", async () => {
    const { data } = await deflatedZeros(10 * 1024);
    const lies = { size: 0xffffffff, extra: extraField(1, uint64s(10 * GIB)) };
    const bomb = writeZip([{ name: "zeros", data, local: lies, central: lies }]);
    expect(bomb.byteLength).toBeLessThan(20 * 2 ** 20);
    const file: ZipFile = {
      size: bomb.byteLength,
      async *readRange(start, end) {
        for (let at = start; at < end; at += 65_536)
          yield bomb.subarray(at, Math.min(at + 65_536, end));
      },
    };
    const seen = await rise(openZip(file, { maxOutputBytes: GIB }));
    expect(seen.error).toMatchObject({ code: "limit_exceeded" });
    expect(seen.size).toBeGreaterThan(GIB - 2 ** 20);
    expect(seen.bytes).toBeLessThan(100 * 2 ** 20);
  });

  test("in a tar keeps memory flat, whether it is read or passed over", async () => {
    const zeros = Buffer.alloc(2 ** 20);
    async function* bomb(): AsyncGenerator<Uint8Array> {
      const size = Buffer.from([0x80, 0, 0, 0, 0, 0, 0, 2, 0x80, 0, 0, 0]);
      yield tarHeader({ magic: "gnu", size });
      for (let i = 0; i < 10 * 1024; i++) yield zeros;
      yield Buffer.alloc(1024);
    }
    const read = await rise(unarchiveTar()(bomb()));
    expect(read).toMatchObject({ error: undefined, size: 10 * GIB });
    expect(read.bytes).toBeLessThan(100 * 2 ** 20);
    const passed = await rise(unarchiveTar({ wants: () => false })(bomb()));
    expect(passed).toMatchObject({ error: undefined, size: 0 });
  });

  test("as a sparse tar of 1 EiB is refused by its first header (FAULTS 2.6, B8)", async () => {
    const size = (2n ** 60n).toString();
    const records = paxRecords({
      "GNU.sparse.major": "1",
      "GNU.sparse.minor": "0",
      "GNU.sparse.realsize": size,
    });
    async function* bomb(): AsyncGenerator<Uint8Array> {
      yield tarHeader({ type: "x", content: records });
      yield Buffer.concat([records, Buffer.alloc(512 - (records.byteLength % 512))]);
      yield tarHeader({ name: "GNUSparseFile.0/a" });
      throw new Error("read on");
    }
    expect(await rise(unarchiveTar()(bomb()))).toMatchObject({
      error: { code: "unsupported_method" },
    });
  });

  test("as a tar's pax header of 1 GiB is refused by its size (FAULTS 2.6, B8)", async () => {
    for (const type of ["x", "g", "L", "K", "X"]) {
      async function* bomb(): AsyncGenerator<Uint8Array> {
        yield tarHeader({ type, size: GIB });
        throw new Error("read on");
      }
      expect(await rise(unarchiveTar()(bomb())), type).toMatchObject({
        error: {
          code: "limit_exceeded",
          message: expect.stringContaining("maxHeaderBytes = 1048576"),
        },
      });
    }
  });
});
