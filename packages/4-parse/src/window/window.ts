import { uninitialised } from "../blocks/uninitialised.ts";

/**
 * The part of the entry that is being looked at: bytes that are not yet consumed, in one piece. Behind them always stands
 * one sentinel, at which every scan stops by itself, so that it needs no second condition.
 */
export interface Window {
  bytes: Uint8Array;
  /** First byte that is not yet consumed. */
  start: number;
  /** Position behind the last byte; `bytes[end]` is the sentinel. */
  end: number;
  /** Position of `bytes[0]` in the entry. */
  base: number;
  /** Whether nothing comes behind the window. */
  isLast: boolean;
  readonly sentinel: number;
}

export function createWindow(sentinel: number): Window {
  const bytes = uninitialised(1 << 16);
  bytes[0] = sentinel;
  return { bytes, start: 0, end: 0, base: 0, isLast: false, sentinel };
}

/** Bytes that the window will have, with a chunk of `length` behind those that are left. */
export function sizeFor({ bytes, start, end }: Window, length: number): number {
  const needed = end - start + length + 1;
  return needed > bytes.length ? 2 ** Math.ceil(Math.log2(needed)) : bytes.length;
}

/** Puts a chunk behind the bytes that are left, which move to the front. */
export function append(window: Window, chunk: Uint8Array): void {
  const { start, end } = window;
  const left = end - start;
  const size = sizeFor(window, chunk.byteLength);
  if (size > window.bytes.length) {
    const grown = uninitialised(size);
    grown.set(window.bytes.subarray(start, end));
    window.bytes = grown;
  } else {
    window.bytes.copyWithin(0, start, end);
  }
  window.base += start;
  window.start = 0;
  window.bytes.set(chunk, left);
  window.end = left + chunk.byteLength;
  window.bytes[window.end] = window.sentinel;
}
