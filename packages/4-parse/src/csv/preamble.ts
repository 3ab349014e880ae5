import type { Reader } from "../window/reader.ts";
import type { LineEnds } from "./line-ends.ts";

/** Passes over the byte order mark, if there is one, and over `lines` lines of whatever content. */
export async function skipPreamble(
  reader: Reader,
  lines: number,
  lineEnds: LineEnds,
): Promise<void> {
  const { window } = reader;
  while (window.end - window.start < 3 && !window.isLast) await reader.more();
  const head = window.bytes.subarray(window.start, Math.min(window.start + 3, window.end));
  if (head[0] === 0xef && head[1] === 0xbb && head[2] === 0xbf) window.start += 3;

  let left = lines;
  while (left > 0) {
    const { start, end } = window;
    if (start === end && window.isLast) return;
    const next = lineEnds.next(window, start);
    if (next === undefined) {
      // A skipped line may be longer than any record: it is not kept. What may begin its end is.
      window.start = Math.max(start, end - lineEnds.maxBytes + 1);
      await reader.more();
    } else {
      window.start = next;
      left--;
    }
  }
}
