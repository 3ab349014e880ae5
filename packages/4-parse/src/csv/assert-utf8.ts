import { isUtf8 } from "node:buffer";
import { StageError } from "@sluice/errors";
import { type BlockBuilder, placeOf } from "../blocks/block-builder.ts";
import { firstInvalidUtf8 } from "../encoding/charset.ts";
import type { Window } from "../window/window.ts";
import { likelyEncoding } from "./likely-encoding.ts";

/**
 * Throws `parse.bad_encoding` with row and byte offset when the bytes of the window from `from` to
 * its start, all of them complete records of the block, are not UTF-8.
 */
export function assertUtf8(window: Window, from: number, block: BlockBuilder): void {
  const { bytes, start, base } = window;
  if (isUtf8(bytes.subarray(from, start))) return;
  const at = firstInvalidUtf8(bytes, from, start);
  let index = block.rows - 1;
  while (index > 0 && (block.byteOffsets[index] ?? 0) > base + at) index--;
  // The record alone: how much else the window holds depends on how the bytes came.
  const record = Math.max(from, (block.byteOffsets[index] ?? 0) - base);
  const next = index + 1 < block.rows ? (block.byteOffsets[index + 1] ?? 0) - base : start;
  throw new StageError("parse", "bad_encoding", "the bytes here are not UTF-8", {
    ...placeOf(block, index, base + at),
    expected: "UTF-8",
    proposed: likelyEncoding(bytes.subarray(record, next), at - record),
  });
}
