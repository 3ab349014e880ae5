import { isUtf8 } from "node:buffer";
import { StageError } from "@sluice/errors";
import { placeOf } from "../blocks/block-builder.ts";
import { firstInvalidUtf8 } from "../encoding/charset.ts";
import type { Reader } from "../window/reader.ts";
import type { Window } from "../window/window.ts";
import type { Rows } from "./rows.ts";

/** Byte order marks that are not UTF-8's. UTF-32's come first: the little-endian one begins as UTF-16's. */
const MARKS: readonly (readonly [encoding: string, ...bytes: number[]])[] = [
  ["UTF-32", 0xff, 0xfe, 0x00, 0x00],
  ["UTF-32", 0x00, 0x00, 0xfe, 0xff],
  ["UTF-16", 0xff, 0xfe],
  ["UTF-16", 0xfe, 0xff],
];

/**
 * Passes over UTF-8's byte order mark. Throws `parse.bad_encoding` for the mark of another encoding, and
 * for a NUL among the first two bytes: no JSON text has one there, and UTF-16 and UTF-32 always do.
 */
export async function skipByteOrderMark(reader: Reader): Promise<void> {
  const { window } = reader;
  while (window.end - window.start < 4 && !window.isLast) await reader.more();
  const head = window.bytes.subarray(window.start, Math.min(window.start + 4, window.end));
  for (const [encoding, ...mark] of MARKS) {
    if (mark.every((byte, at) => head[at] === byte)) {
      throw badEncoding(`a byte order mark of ${encoding}`, { byteOffset: 0 });
    }
  }
  if (head[0] === 0x00 || head[1] === 0x00) {
    throw badEncoding("UTF-16 or UTF-32, or no text at all", { byteOffset: 0 });
  }
  if (head[0] === 0xef && head[1] === 0xbb && head[2] === 0xbf) window.start += 3;
}

/**
 * Throws `parse.bad_encoding` with row and byte offset when what was not checked yet of the window up to
 * `to`, which ends with a whole character if it is UTF-8, is not. The row is the last one that begins
 * before the place.
 */
export function assertUtf8(window: Window, to: number, rows: Rows): void {
  const { bytes, base } = window;
  const { block, passedFrom } = rows;
  const from = rows.checkedTo - base;
  if (to <= from) return;
  if (isUtf8(bytes.subarray(from, to))) {
    rows.checkedTo = base + to;
    return;
  }
  const at = firstInvalidUtf8(bytes, from, to);
  let begun = block.rows;
  while (begun > 0 && (block.byteOffsets[begun - 1] ?? 0) > base + at) begun--;
  if (begun === block.rows && passedFrom <= base + at) begun++;
  throw badEncoding("bytes that are not UTF-8", placeOf(block, Math.max(0, begun - 1), base + at));
}

function badEncoding(seen: string, place: { row?: number; byteOffset: number }): StageError {
  const message = `JSON is UTF-8, and the file has ${seen}`;
  return new StageError("parse", "bad_encoding", message, { ...place, seen, expected: "UTF-8" });
}
