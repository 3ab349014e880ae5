import { expect, test } from "vitest";
import { freePassed, pass } from "../src/index.ts";

test("a chunk that was passed on is freed by whoever is done with it", () => {
  const chunk = pass(new Uint8Array([1, 2, 3]));
  freePassed(chunk);
  expect(chunk.byteLength).toBe(0);
});

test("a chunk that nobody passed on stays", () => {
  const chunk = new Uint8Array([1, 2, 3]);
  freePassed(chunk);
  expect([...chunk]).toEqual([1, 2, 3]);
});

test("a part of a chunk frees nothing: the rest is still read", () => {
  const chunk = pass(new Uint8Array([1, 2, 3]));
  freePassed(chunk.subarray(0, 2));
  expect([...chunk]).toEqual([1, 2, 3]);
  freePassed(chunk);
  expect(chunk.byteLength).toBe(0);
});
