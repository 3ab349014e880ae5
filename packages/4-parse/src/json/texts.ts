import type { StageError } from "@sluice/errors";
import type { FieldPath } from "@sluice/schema";
import type { Window } from "../window/window.ts";
import { assertUtf8 } from "./encoding.ts";
import { codeOf } from "./fault.ts";
import type { Cut } from "./lines.ts";
import type { Rows } from "./rows.ts";
import { endOfScalar, endOfString } from "./scalars.ts";
import {
  CLOSE_BRACE,
  COLON,
  COMMA,
  CR,
  LF,
  OPEN_BRACE,
  OPEN_BRACKET,
  QUOTE,
  type Scan,
  STOPPED,
  skipSpace,
  stop,
} from "./scan.ts";
import { commaOr, skipValue, stopAtDepth, stopAtKeyBytes, stopAtKeys } from "./skip-value.ts";
import { fatal, moreThanOne, recordTooLarge } from "./text-errors.ts";
import { beginHead, createTextHead, keepHead, refuseText } from "./text-head.ts";
import { createTrail, type Frame } from "./trail.ts";
import { keyExpected } from "./unexpected.ts";

/** What the next token may be. */
type Expected =
  | "text"
  | "value"
  | "value or end"
  | "key"
  | "key or end"
  | "colon"
  | "comma or end"
  | "nothing";

/**
 * Texts with any whitespace or none between them, or exactly one. What leads to the records, and what
 * stands beside them, is walked token by token, so that it may be of any size; records are scanned whole.
 * Breaks of the grammar and passed limits are fatal: what follows cannot be told apart any more.
 */
export function createTextCut(
  scan: Scan,
  rows: Rows,
  recordPath: FieldPath,
  isOneText: boolean,
): Cut {
  const { limits } = scan;
  const { block } = rows;
  const trail = createTrail(recordPath);
  const { frames } = trail;
  let expected: Expected = "text";
  /** Of the text that the walk stands in, or stood in last. */
  const head = createTextHead();
  let hasRecords = false;
  /** Whether it is one record without a line break. */
  let isLine = false;
  /** Whether a line break stands behind the only text. */
  let hasBreak = false;
  /** Whether a record is being taken, or an element that should be one. */
  let isInRecord = false;

  /** Takes the token or the record at `i`; gives the position behind it, or STOPPED. */
  function take(window: Window, i: number): number {
    const { bytes } = window;
    const c = bytes[i] as number;
    const frame = frames.at(-1);
    isInRecord = false;
    switch (expected) {
      case "text":
        return beginText(window, i);
      case "value or end":
        return c === frame?.closer ? close(window, i) : takeValue(window, i);
      case "value":
        return takeValue(window, i);
      case "key or end":
        if (c === CLOSE_BRACE) return close(window, i);
        return takeKey(window, i, frame);
      case "key":
        return takeKey(window, i, frame);
      case "colon":
        if (c !== COLON) return stop(scan, i, "a colon is expected");
        expected = "value";
        return i + 1;
      case "comma or end":
        if (c === frame?.closer) return close(window, i);
        if (c !== COMMA) return stop(scan, i, commaOr(frame?.closer));
        expected = frame?.closer === CLOSE_BRACE ? "key" : "value";
        if (expected === "value") trail.nextElement();
        return i + 1;
      case "nothing":
        throw moreThanOne(block, window, i, isLine && hasBreak ? "lines" : "concatenated");
    }
  }

  function beginText(window: Window, i: number): number {
    beginHead(head, window.base + i);
    hasRecords = false;
    isLine = false;
    trail.begin();
    return takeValue(window, i);
  }

  function takeValue(window: Window, i: number): number {
    const { bytes } = window;
    const c = bytes[i];
    const isElement = frames.at(-1)?.holdsRecords === true;
    const isTarget = trail.isAtRecords();
    if (isElement || (isTarget && c === OPEN_BRACE)) return takeRecord(window, i, isElement);
    if (c === OPEN_BRACE || c === OPEN_BRACKET) {
      if (frames.length >= limits.maxDepth) return stopAtDepth(scan, i);
      if (isTarget) hasRecords = true;
      trail.enter(c, isTarget);
      expected = c === OPEN_BRACE ? "key or end" : "value or end";
      return i + 1;
    }
    const end = takeScalar(window, i);
    if (end < 0) return STOPPED;
    endValue(window, end);
    return end;
  }

  function takeScalar({ bytes, end, isLast }: Window, i: number): number {
    if (bytes[i] === QUOTE) {
      const close = endOfString(scan, bytes, i + 1);
      return close < 0 ? STOPPED : close + 1;
    }
    const behind = endOfScalar(scan, bytes, i);
    // A number that ends with the window may go on behind it.
    return behind === end && !isLast ? stop(scan, end, "") : behind;
  }

  function takeRecord(window: Window, i: number, isElement: boolean): number {
    const { bytes } = window;
    isInRecord = true;
    const isObject = bytes[i] === OPEN_BRACE;
    const end = isObject
      ? rows.scan(bytes, i, frames.length)
      : skipValue(scan, bytes, i, frames.length);
    if (end < 0) return STOPPED;
    // A number that ends with the window may go on behind it.
    if (end === window.end && !window.isLast && !isObject) return stop(scan, end, "");
    if (end - i > limits.maxRecordBytes) throw recordTooLarge(block, limits, window.base + i);
    hasRecords = true;
    if (isObject) {
      if (isOneText && !isElement && recordPath.length === 0) isLine = !hasLineBreak(bytes, i, end);
      rows.commit(window, i, end);
    } else {
      rows.refuse(window, i, end, "malformed", "a record is an object, and begins with {");
    }
    endValue(window, end);
    return end;
  }

  function takeKey(window: Window, i: number, frame: Frame | undefined): number {
    const { bytes } = window;
    if (bytes[i] !== QUOTE || frame === undefined) {
      return stop(scan, i, keyExpected(bytes[i]));
    }
    const end = endOfString(scan, bytes, i + 1);
    if (end < 0) return STOPPED;
    if (end - i - 1 > limits.maxKeyBytes) return stopAtKeyBytes(scan, end);
    if (++frame.count > limits.maxKeys) return stopAtKeys(scan, end);
    if (!trail.nextMember(bytes, i, end + 1, hasRecords)) {
      return stop(scan, i, "recordPath leads to two places of one text");
    }
    expected = "colon";
    return end + 1;
  }

  function close(window: Window, i: number): number {
    frames.pop();
    endValue(window, i + 1);
    return i + 1;
  }

  function endValue(window: Window, behind: number): void {
    if (frames.length > 0) {
      expected = "comma or end";
      return;
    }
    expected = isOneText ? "nothing" : "text";
    if (hasRecords) return;
    const message =
      recordPath.length > 0
        ? "recordPath leads to no record in this text"
        : "a record is an object, and begins with {";
    if (isOneText) throw fatal(block, "malformed", message, head.byteOffset);
    // Before there is a row that begins before the bytes, however many of them came at once.
    assertUtf8(window, behind, rows);
    refuseText(head, rows, window, behind, message);
  }

  /** Before the window moves on: keeps what may be wanted of the text that it stands in. */
  function moveOn(window: Window): false {
    if (frames.length > 0 && !hasRecords) keepHead(head, window);
    return false;
  }

  /** Judges a stop at the token or record that begins at `i`: false when more bytes may help. */
  function judge(window: Window, i: number): false {
    rows.giveUp();
    const { base, end, isLast } = window;
    const isCut = scan.at >= end && scan.option === undefined;
    const reach = isCut ? end : scan.at;
    if (isInRecord && reach - i > limits.maxRecordBytes)
      throw recordTooLarge(block, limits, window.base + i);
    if (isCut && !isLast) return moveOn(window);
    if (isCut) throw cutOff(window);
    const byteOffset = base + (scan.option === undefined ? scan.at : i);
    throw fatal(block, codeOf(scan), scan.reason, byteOffset);
  }

  function cutOff({ base, end }: Window): StageError {
    const isEmpty = expected === "text" && frames.length === 0;
    const message = isEmpty ? "the file holds no JSON text" : "the file ends inside of a JSON text";
    return fatal(block, "malformed", message, base + end);
  }

  return (window) => {
    for (;;) {
      rows.flush(window);
      if (rows.isFull) return true;
      const i = skipSpace(scan, window.bytes, window.start);
      hasBreak ||= expected === "nothing" && hasLineBreak(window.bytes, window.start, i);
      window.start = i;
      if (i >= window.end) {
        if (!window.isLast) return moveOn(window);
        if (expected === "nothing" || (expected === "text" && !isOneText)) return false;
        throw cutOff(window);
      }
      const behind = take(window, i);
      if (behind < 0) return judge(window, i);
      window.start = behind;
    }
  };
}

function hasLineBreak(bytes: Uint8Array, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (bytes[i] === LF || bytes[i] === CR) return true;
  return false;
}
