import { CR, LF, OPEN_BRACE, OPEN_BRACKET, QUOTE, SPACE, TAB } from "./scan.ts";

/** How much of the first record is looked at, at most. */
export const SHAPE_BYTES = 4096;

/**
 * What the file is that should have one record on each line and begins with `bytes[from .. to)`: said
 * only when it is sure. An array of objects, or one that goes on behind its first line, is no record; a
 * brace alone on its line with a key on the next one begins an object over many lines. "unsure" when more
 * of the file would tell.
 */
export function guessShape(
  bytes: Uint8Array,
  from: number,
  to: number,
): "records" | "concatenated" | "unsure" | undefined {
  const open = bytes[from];
  if (open !== OPEN_BRACE && open !== OPEN_BRACKET) return undefined;
  let i = from + 1;
  let hasBreak = false;
  for (; i < to; i++) {
    const c = bytes[i];
    if (c === LF || c === CR) hasBreak = true;
    else if (c !== SPACE && c !== TAB) break;
  }
  if (i >= to) return "unsure";
  if (open === OPEN_BRACKET) return hasBreak || bytes[i] === OPEN_BRACE ? "records" : undefined;
  return hasBreak && bytes[i] === QUOTE ? "concatenated" : undefined;
}
