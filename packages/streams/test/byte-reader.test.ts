import { createByteReader } from "@sluice/streams";
import { chunked, probe } from "@sluice/streams/testing";
import { expect, test } from "vitest";

const sample = Uint8Array.from({ length: 100 }, (_, i) => i);

test.each([1, 7, 100])("takes counted bytes from chunks of %i bytes", async (size) => {
  const reader = createByteReader(chunked(sample, size));
  expect([...(await reader.take(30))]).toEqual([...sample.subarray(0, 30)]);
  expect(reader.offset).toBe(30);
  expect([...(await reader.take(1000))]).toEqual([...sample.subarray(30)]);
  expect(await reader.chunk()).toBeUndefined();
});

test("gives again what was put back, and does not count it as read", async () => {
  const reader = createByteReader(chunked(sample, 10));
  const head = await reader.take(15);
  reader.putBack(head);
  expect(reader.offset).toBe(0);
  expect([...(await reader.take(100))]).toEqual([...sample]);
});

test("pulls no more than it is asked for, and closes its source", async () => {
  const source = probe(chunked(sample, 10));
  const reader = createByteReader(source);
  await reader.take(11);
  expect(source.pulled).toBe(2);
  await reader.close();
  expect(source.closed).toBe(true);
});
