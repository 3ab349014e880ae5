import { type Charset, UTF_8 } from "../encoding/charset.ts";
import type { TextPiece } from "../encoding/text-pieces.ts";

/**
 * Turns positions in the document's text, in UTF-16 code units, into positions in the file, in bytes. It knows
 * the piece at hand alone; what is remembered from an earlier one was turned when that ended.
 */
export interface FilePlace {
  /** Where the piece at hand begins and ends, in code units. */
  readonly start: number;
  readonly end: number;
  /** Takes the piece that comes next. */
  take(piece: TextPiece): void;
  /** Clamped to the piece at hand. Cheap in ascending order. */
  byteAt(unit: number): number;
}

export function createFilePlace(charset: Charset): FilePlace {
  let start = 0;
  let piece: TextPiece = { text: "", byteOffset: 0, byteLength: 0 };
  /** Bytes of each code unit in the piece, when they are all alike; else 0. */
  let unitBytes = 1;
  // The place that was asked for last.
  let lastUnit = 0;
  let lastByte = 0;

  return {
    get start() {
      return start;
    },
    get end() {
      return start + piece.text.length;
    },
    take(next) {
      start += piece.text.length;
      piece = next;
      const { text, byteOffset, byteLength } = next;
      const isEven = charset !== UTF_8 || byteLength === text.length;
      unitBytes = isEven ? byteLength / Math.max(1, text.length) : 0;
      lastUnit = start;
      lastByte = byteOffset;
    },
    byteAt(unit) {
      const { text, byteOffset, byteLength } = piece;
      const at = Math.min(Math.max(unit - start, 0), text.length);
      if (unitBytes > 0) return byteOffset + at * unitBytes;
      if (at === text.length) return byteOffset + byteLength;
      if (start + at < lastUnit) {
        lastUnit = start;
        lastByte = byteOffset;
      }
      lastByte += charset.byteLength(text.slice(lastUnit - start, at));
      lastUnit = start + at;
      return lastByte;
    },
  };
}
