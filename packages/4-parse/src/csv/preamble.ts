import type { Reader } from "../window/reader.ts";
import { CR, LF } from "./dialect.ts";

/** Passes over the byte order mark, if there is one, and over `lines` lines of whatever content. */
export async function skipPreamble(reader: Reader, lines: number): Promise<void> {
  const { window } = reader;
  while (window.end - window.start < 3 && !window.isLast) await reader.more();
  const head = window.bytes.subarray(window.start, Math.min(window.start + 3, window.end));
  if (head[0] === 0xef && head[1] === 0xbb && head[2] === 0xbf) window.start += 3;

  let left = lines;
  while (left > 0) {
    const { bytes, start, end } = window;
    let i = start;
    while (i < end && bytes[i] !== LF && bytes[i] !== CR) i++;
    const isWhole = i < end && (bytes[i] === LF || i + 1 < end);
    if (isWhole || window.isLast) {
      if (start === end) return;
      window.start = Math.min(end, i + (bytes[i] === CR && bytes[i + 1] === LF ? 2 : 1));
      left--;
    } else {
      // A skipped line may be longer than any record: it is not kept. Its CR is, for a LF may follow.
      window.start = i;
      await reader.more();
    }
  }
}
