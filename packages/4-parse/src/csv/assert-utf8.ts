import { isUtf8 } from "node:buffer";
import { StageError } from "@sluice/errors";
import { type BlockBuilder, placeOf } from "../blocks/block-builder.ts";
import type { Window } from "./window.ts";

/**
 * Throws `parse.bad_encoding` with row and byte offset when the bytes of the window from `from` to
 * its start, all of them complete records of the block, are not UTF-8.
 */
export function assertUtf8(window: Window, from: number, block: BlockBuilder): void {
  const { bytes, start, base } = window;
  if (isUtf8(bytes.subarray(from, start))) return;
  const at = firstInvalid(bytes, from, start);
  let index = block.rows - 1;
  while (index > 0 && (block.byteOffsets[index] ?? 0) > base + at) index--;
  throw new StageError("parse", "bad_encoding", "the bytes here are not UTF-8", {
    ...placeOf(block, index, base + at),
    expected: "UTF-8",
  });
}

/** Throws `parse.bad_encoding` for the byte order marks of UTF-16, whose bytes UTF-8 never has. */
export function assertNotUtf16(head: Uint8Array): void {
  const [first, second] = head;
  if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff)) {
    throw new StageError("parse", "bad_encoding", "the file begins as UTF-16", {
      byteOffset: 0,
      seen: "a byte order mark of UTF-16",
      expected: "UTF-8",
    });
  }
}

function firstInvalid(bytes: Uint8Array, from: number, to: number): number {
  let at = from;
  while (at < to) {
    const lead = bytes[at] ?? 0;
    const length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (at + length > to || (lead >= 0x80 && !isUtf8(bytes.subarray(at, at + length)))) return at;
    at += length;
  }
  return at;
}
