import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { StageError } from "@sluice/errors";
import { spool } from "@sluice/streams";
import { chunked, probe } from "@sluice/streams/testing";
import { afterAll, beforeAll, expect, test } from "vitest";

const sample = Uint8Array.from({ length: 5000 }, (_, i) => i % 253);
const toError = (message: string): StageError =>
  new StageError("decompress", "limit_exceeded", message);
let directory = "";
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "spool-test-"));
});
afterAll(async () => await rm(directory, { recursive: true }));

test("gives back any range of the stream, under no name that another process could open or a crash leave behind", async () => {
  {
    await using held = await spool(chunked(sample, 700), {
      directory,
      maxSpoolBytes: 5000,
      toError,
    });
    expect(held.size).toBe(5000);
    const range = Buffer.concat(await Array.fromAsync(held.readRange(699, 1401)));
    expect(range).toEqual(Buffer.from(sample.subarray(699, 1401)));
    expect(await Array.fromAsync(held.readRange(7, 7))).toEqual([]);
    expect(await readdir(directory)).toEqual([]);
  }
  expect(await readdir(directory)).toEqual([]);
});

test("says in its owner's words that the disk refuses", async () => {
  const full = new StageError("decompress", "disk_unavailable", "no space");
  const options = { directory: join(directory, "gone"), maxSpoolBytes: 5001, toError };
  const spooling = spool(chunked(sample, 700), { ...options, toDiskError: () => full });
  await expect(spooling).rejects.toBe(full);
});

test("takes one byte less than its limit", async () => {
  await using held = await spool(chunked(sample, 700), { directory, maxSpoolBytes: 5001, toError });
  expect(held.size).toBe(5000);
});

test("stops its source and removes the file when the limit is passed", async () => {
  const source = probe(chunked(sample, 700));
  await expect(spool(source, { directory, maxSpoolBytes: 4999, toError })).rejects.toMatchObject({
    code: "limit_exceeded",
    rawMessage: "more than maxSpoolBytes = 4999 bytes",
  });
  expect(source.closed).toBe(true);
  expect(await readdir(directory)).toEqual([]);
});

test("removes the file and passes on the error when its source breaks", async () => {
  const broken = new StageError("fetch", "stalled", "the source broke");
  async function* breaking(): AsyncGenerator<Uint8Array> {
    yield sample;
    throw broken;
  }
  const options = { directory, maxSpoolBytes: 9999, toError };
  await expect(spool(breaking(), options)).rejects.toBe(broken);
  expect(await readdir(directory)).toEqual([]);
});
