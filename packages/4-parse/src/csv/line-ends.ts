import type { Window } from "../window/window.ts";
import { CR, type Dialect, follows, LF } from "./dialect.ts";

/** What ends lines in a dialect, records' lines or not. */
export interface LineEnds {
  /** Bytes of the longest. */
  readonly maxBytes: number;
  /** Bytes of the line end at `at`: 0 when there is none, undefined when that stands behind the window. */
  at(window: Window, at: number): number | undefined;
  /** Position behind the first line end at or behind `from`; undefined when it stands behind the window. The last line needs none. */
  next(window: Window, from: number): number | undefined;
}

/** LF, CRLF and a lone CR, or the dialect's own record delimiter. */
export function toLineEnds({ recordDelimiter: mark }: Dialect): LineEnds {
  const own = mark.length > 0;
  const first = own ? mark.first : LF;
  const other = own ? mark.first : CR;

  const lengthAt = ({ bytes, end, isLast }: Window, at: number): number | undefined => {
    const c = bytes[at];
    if (at >= end || (c !== first && c !== other)) return 0;
    if (!own) {
      if (c === LF) return 1;
      if (at + 1 === end) return isLast ? 1 : undefined;
      return bytes[at + 1] === LF ? 2 : 1;
    }
    // Unlike other marks it may contain the sentinel behind the window.
    if (at + mark.length <= end) return follows(bytes, at + 1, mark.rest) ? mark.length : 0;
    return isLast ? 0 : undefined;
  };

  return {
    maxBytes: own ? mark.length : 2,
    at: lengthAt,
    next(window, from) {
      const { bytes, end, isLast } = window;
      for (let i = from; i < end; i++) {
        const c = bytes[i];
        if (c !== first && c !== other) continue;
        const length = lengthAt(window, i);
        if (length === undefined) return undefined;
        if (length > 0) return i + length;
      }
      return isLast ? end : undefined;
    },
  };
}
