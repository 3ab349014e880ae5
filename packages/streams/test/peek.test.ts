import { peek } from "@sluice/streams";
import { chunked, probe, stageContract } from "@sluice/streams/testing";
import { expect, test } from "vitest";

const sample = Uint8Array.from({ length: 300 }, (_, i) => i % 251);

stageContract<Uint8Array>({
  name: "peek",
  stage: async function* (source) {
    yield* (await peek(source, 10)).bytes;
  },
  sample,
  collect: (chunks) => Buffer.concat(chunks),
  empty: { output: Buffer.alloc(0) },
});

test("shows the first bytes however they are cut", async () => {
  expect((await peek(chunked(sample, 3), 10)).head).toEqual(Buffer.from(sample.subarray(0, 10)));
});

test("shows fewer bytes when the stream is shorter", async () => {
  expect((await peek(chunked(sample.subarray(0, 4), 3), 10)).head).toHaveLength(4);
});

test("closes a source that nobody goes on to read", async () => {
  const source = probe(chunked(sample, 3));
  await (await peek(source, 10)).close();
  expect(source.closed).toBe(true);
});
