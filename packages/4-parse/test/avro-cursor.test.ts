import { expect, test } from "vitest";
import { createCursor, readLong, setBytes } from "../src/avro/cursor.ts";
import { AVRO_LIMITS } from "../src/index.ts";

test("a number that goes on behind the bytes that are there reads zeros, whatever the memory behind them holds", () => {
  const memory = new Uint8Array(64).fill(0xff);
  memory.set([0x80, 0x81], 8);
  const cursor = createCursor();
  setBytes(cursor, memory.subarray(8), 0, 2, AVRO_LIMITS);
  // Seven bits of zero, then seven of one, and zeros: 64 after zigzag. With the memory behind, no long at all.
  expect(readLong(cursor)).toBe(64);
  expect(cursor.at).toBeGreaterThan(cursor.end);
  expect(cursor.bytes[2]).toBeUndefined();
});
