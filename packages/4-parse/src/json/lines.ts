import { StageError } from "@sluice/errors";
import type { FieldPath } from "@sluice/schema";
import { placeOf } from "../blocks/block-builder.ts";
import type { Window } from "../window/window.ts";
import { beginRow, type Cells, createSharedCells } from "./cells.ts";
import type { FastLines } from "./fast-lines.ts";
import { codeOf, RAW_BYTES } from "./fault.ts";
import { toRecordTree } from "./field-tree.ts";
import type { Rows } from "./rows.ts";
import {
  CLOSE_BRACKET,
  COMMA,
  CR,
  LF,
  OPEN_BRACE,
  OPEN_BRACKET,
  type Scan,
  STOPPED,
  skipSpace,
  stop,
} from "./scan.ts";
import { scanValue } from "./scan-record.ts";
import { guessShape, SHAPE_BYTES } from "./shape.ts";
import { skipValue } from "./skip-value.ts";

/**
 * Cuts what the window holds into rows, until the block is full (true) or the window holds too little
 * to go on with (false): at the end of the entry that means that it is done.
 */
export type Cut = (window: Window) => boolean;

/** A line that is over its limit: where it began, and its first bytes. */
interface LongLine {
  readonly byteOffset: number;
  readonly raw: Uint8Array;
  kept: number;
}

/**
 * One record on each line. LF, CRLF and a lone CR end a line; blank lines are passed over. A line that
 * is no record, or over a limit, is a faulty row, and the next line goes on.
 */
export function createLineCut(
  scan: Scan,
  rows: Rows,
  recordPath: FieldPath,
  fast: FastLines | undefined,
): Cut {
  const { limits } = scan;
  const { block } = rows;
  const hasPath = recordPath.length > 0;
  const tree = toRecordTree(recordPath);
  const located: Cells = createSharedCells(0);
  /** Whether the file's shape is still to be looked at. Where texts are arrays by the settings it is not. */
  let isFirst = typeof recordPath[0] !== "number";
  /** The line that is being passed over. */
  let long: LongLine | undefined;
  /** The records of a line's array that wait: the next one's position in the window, or -1. */
  let next = -1;

  /** The position behind the line that begins at `from`, its end left out; STOPPED when it is no record. */
  function scanLine({ bytes, end: windowEnd }: Window, from: number): number {
    let end: number;
    if (hasPath) {
      beginRow(located);
      end = scanValue(scan, located, tree, bytes, from, 0);
    } else if (bytes[from] === OPEN_BRACE) {
      end = rows.scan(bytes, from, 0);
    } else {
      return stop(scan, from, "a record is an object, and begins with {");
    }
    if (end < 0) return STOPPED;
    end = skipSpace(scan, bytes, end);
    const c = bytes[end];
    if (end >= windowEnd || c === LF || c === CR) return end;
    const isComma = c === COMMA;
    return stop(
      scan,
      end,
      isComma ? "a comma stands behind the record" : "more than one record stands on the line",
    );
  }

  /** Takes the line from `from` to `end`, which holds one whole text. */
  function takeLine(window: Window, from: number, end: number): void {
    if (!hasPath) {
      rows.commit(window, from, end);
      return;
    }
    if (located.hasDuplicate) rows.notes.duplicates++;
    const { bytes } = window;
    const first = located.explodedFrom < 0 ? undefined : bytes[located.explodedFrom];
    if (first === OPEN_BRACE) {
      takeRecord(window, located.explodedFrom);
    } else if (first === OPEN_BRACKET) {
      next = skipSpace(scan, bytes, located.explodedFrom + 1);
      if (bytes[next] === CLOSE_BRACKET) next = -1;
    } else {
      rows.refuse(window, from, end, "malformed", "recordPath leads to no record");
    }
  }

  /** Takes the record at `from`, which is known to follow the grammar; gives the position behind it. */
  function takeRecord(window: Window, from: number): number {
    const { bytes } = window;
    if (bytes[from] !== OPEN_BRACE) {
      const end = skipValue(scan, bytes, from, 0);
      rows.refuse(window, from, end, "malformed", "a record is an object, and begins with {");
      return end;
    }
    const end = rows.scan(bytes, from, 0);
    if (end >= 0) {
      rows.commit(window, from, end);
      return end;
    }
    const { reason } = scan;
    const code = codeOf(scan);
    rows.giveUp();
    const behind = skipValue(scan, bytes, from, 0);
    rows.refuse(window, from, behind, code, reason);
    return behind;
  }

  /** Writes rows that wait of the last line; true when the block is full. */
  function flush(window: Window): boolean {
    for (;;) {
      rows.flush(window);
      if (rows.isFull) return true;
      if (next < 0) return false;
      const { bytes } = window;
      const behind = skipSpace(scan, bytes, takeRecord(window, next));
      next = bytes[behind] === COMMA ? skipSpace(scan, bytes, behind + 1) : -1;
    }
  }

  /** Passes the rest of a line that is over its limit; true when its end is reached. */
  function passLong(window: Window, line: LongLine): boolean {
    const { bytes, start, end, isLast } = window;
    const lineEnd = findLineEnd(bytes, start, end);
    const isEnd = lineEnd < end || isLast;
    window.start = isEnd ? lineEnd : Math.max(start, wholeCharacters(bytes, end));
    const kept = bytes.subarray(start, Math.min(window.start, start + line.raw.length - line.kept));
    line.raw.set(kept, line.kept);
    line.kept += kept.length;
    if (!isEnd) return false;
    const place = { ...window, bytes: line.raw, base: line.byteOffset };
    const message = `the line has more than maxRecordBytes = ${limits.maxRecordBytes} bytes`;
    rows.refuse(place, 0, line.kept, "record_too_large", message);
    return true;
  }

  return (window) => {
    for (;;) {
      if (flush(window)) return true;
      const { bytes, end, base, isLast } = window;
      if (long !== undefined) {
        if (!passLong(window, long)) return false;
        long = undefined;
        rows.passedFrom = Number.POSITIVE_INFINITY;
        continue;
      }
      // The first record is looked at below, for its names and the file's shape.
      if (!isFirst && fast?.take(window) === true) return true;
      const from = skipBlank(bytes, window.start);
      window.start = from;
      if (from >= end) return false;
      if (isFirst) {
        const shape = guessShape(bytes, from, Math.min(end, from + SHAPE_BYTES));
        if (shape === "unsure" && end - from < SHAPE_BYTES && !isLast) return false;
        if (shape !== undefined && shape !== "unsure") throw wrongShape(base + from, shape);
        isFirst = false;
      }
      const behind = scanLine(window, from);
      const isWhole = behind >= 0 && (behind < end || isLast);
      const stopped = behind >= 0 ? behind : scan.at;
      const lineEnd = isWhole ? behind : findLineEnd(bytes, Math.min(stopped, end), end);
      const length = lineEnd - from;
      if (length > limits.maxRecordBytes) {
        rows.giveUp();
        rows.passedFrom = base + from;
        long = { byteOffset: base + from, raw: new Uint8Array(RAW_BYTES + 4), kept: 0 };
      } else if (isWhole) {
        takeLine(window, from, behind);
        window.start = behind;
      } else if (lineEnd === end && !isLast) {
        rows.giveUp();
        return false;
      } else {
        rows.giveUp();
        const reason =
          stopped < lineEnd || scan.option !== undefined
            ? scan.reason
            : isLast && lineEnd === end
              ? "the file ends inside of a record"
              : "the line ends inside of a record";
        const message = `byte ${stopped - from + 1} of the line: ${reason}`;
        rows.refuse(window, from, lineEnd, codeOf(scan), message);
        window.start = lineEnd;
      }
    }
  };

  function wrongShape(byteOffset: number, shape: string): StageError {
    const message = `the file does not have one record on each line: set shape to ${shape}`;
    const place = placeOf(block, 0, byteOffset);
    const expected = "shape lines";
    return new StageError("parse", "malformed", message, {
      ...place,
      seen: shape,
      expected,
      proposed: [{ setting: "json.shape", value: shape }],
    });
  }
}

/** The first byte from `from` on that is neither a blank nor a line's end. */
function skipBlank(bytes: Uint8Array, from: number): number {
  let i = from;
  let c = bytes[i] as number;
  while (c === LF || c === CR || c === 0x20 || c === 0x09) c = bytes[++i] as number;
  return i;
}

/** The first end of a line from `from` on, else `end`. */
function findLineEnd(bytes: Uint8Array, from: number, end: number): number {
  const rest = bytes.subarray(from, end);
  const feed = rest.indexOf(LF);
  const line = feed < 0 ? rest : rest.subarray(0, feed);
  const back = line.indexOf(CR);
  return from + (back < 0 ? line.length : back);
}

/** `end`, or a little before it when the last character's bytes are not all there. */
function wholeCharacters(bytes: Uint8Array, end: number): number {
  for (let at = end - 1; at >= Math.max(0, end - 3); at--) {
    const c = bytes[at] as number;
    if (c < 0x80) return end;
    if (c >= 0xc0) return at;
  }
  return end;
}
