import type { BlockBuilder } from "../blocks/block-builder.ts";
import type { Window } from "../window/window.ts";
import { type Dialect, follows } from "./dialect.ts";
import { type DelimitedLimits, tooLarge } from "./limits.ts";
import type { LineEnds } from "./line-ends.ts";

/** The first position at or behind `at` where a record begins or may begin: behind blank lines and comments. */
export type PassOver = (window: Window, block: BlockBuilder, at: number) => number;

export function createPassOver(
  { comment }: Dialect,
  lineEnds: LineEnds,
  { maxRecordBytes }: DelimitedLimits,
): PassOver {
  return (window, block, from) => {
    const { bytes, end, base } = window;
    let at = from;
    for (;;) {
      const blank = lineEnds.at(window, at);
      if (blank === undefined || (blank > 0 && block.width === 1)) return at;
      if (blank > 0) {
        at += blank;
        continue;
      }
      const isComment =
        bytes[at] === comment.first &&
        at + comment.length <= end &&
        follows(bytes, at + 1, comment.rest);
      if (!isComment) return at;
      const next = lineEnds.next(window, at + 1);
      if (next === undefined) return at;
      if (next - at > maxRecordBytes)
        throw tooLarge(block, "maxRecordBytes", maxRecordBytes, base + at);
      at = next;
    }
  };
}
