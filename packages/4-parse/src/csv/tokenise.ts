import {
  addFault,
  type BlockBuilder,
  growData,
  growRows,
  rollBack,
  setNull,
} from "../blocks/block-builder.ts";
import type { Window } from "../window/window.ts";
import { CR, type Dialect, follows, LF } from "./dialect.ts";
import { toFault, unclosed } from "./fault.ts";
import { assertSizes, type DelimitedLimits, maxRowsOf, tooLarge } from "./limits.ts";

/**
 * Cuts complete records out of the window into the block until the block is full (true) or the window
 * holds no further complete record (false), and moves the window's start behind them. With `isLast`
 * nothing comes behind the window: its last record needs no line break.
 */
export type Tokenise = (window: Window, block: BlockBuilder, isLast: boolean) => boolean;

/** Below this length a loop copies faster than the call of a built-in. */
const SHORT_BYTES = 48;

/**
 * The rules, beside RFC 4180: LF, CRLF and a lone CR all end a record; a line with nothing at all is
 * passed over, except in a file of one column, where it is a record with an empty field; a quote
 * inside an unquoted field is a character like any other, and so are NUL and blanks anywhere; the escape
 * (when it is not the quote) takes the next byte as it is. Text between a closing quote and the next
 * delimiter makes the record faulty, and the scan goes on at that delimiter.
 */
export function createTokenise(dialect: Dialect, limits: DelimitedLimits): Tokenise {
  const { delimiter: mark, nullText } = dialect;
  const delimiter = mark.first;
  const delimiterRest = mark.rest;
  const delimiterLength = mark.length;
  const quote = dialect.quote.first;
  const quoteRest = dialect.quote.rest;
  const nullLength = nullText?.length ?? -1;
  // Most bytes of most files are above all the marks: one comparison passes them.
  const highest = Math.max(delimiter, CR);
  const takeQuoted = createTakeQuoted(dialect);
  const smallestLimit = Math.min(limits.maxFieldBytes, limits.maxRecordBytes);

  return (window, block, isLast) => {
    const { bytes, end, base } = window;
    const { width, ends, data } = block;
    const maxRows = maxRowsOf(limits, width);
    let i = window.start;
    while (i < end) {
      const start = i;
      const row = block.rows;
      let c = bytes[i] as number;
      if ((c === LF || c === CR) && width !== 1) {
        if (c === LF) i += 1;
        else if (i + 1 < end) i += bytes[i + 1] === LF ? 2 : 1;
        else if (isLast) i += 1;
        else break;
        window.start = i;
        continue;
      }
      if (row === block.byteOffsets.length) growRows(block);
      let fields = 0;
      let garbled = 0;
      for (;;) {
        c = bytes[i] as number;
        if (c === quote && (quoteRest.length === 0 || follows(bytes, i + 1, quoteRest))) {
          const opened = i;
          i = takeQuoted(block, fields, bytes, i, end);
          if (i < 0) {
            if (isLast) throw unclosed(block, base + opened);
            fields++;
            i = end;
            break;
          }
          c = bytes[i] as number;
          if (
            c !== LF &&
            c !== CR &&
            (c !== delimiter || !follows(bytes, i + 1, delimiterRest)) &&
            garbled === 0
          ) {
            garbled = fields + 1;
          }
          if (garbled !== 0) {
            while (
              c !== LF &&
              c !== CR &&
              (c !== delimiter || !follows(bytes, i + 1, delimiterRest))
            ) {
              c = bytes[++i] as number;
            }
          }
          if (fields < width) {
            (block.offsets[fields] as Int32Array)[row + 1] = ends[fields] as number;
          }
        } else {
          const from = i;
          for (;;) {
            i = scan(bytes, i, delimiter, highest);
            c = bytes[i] as number;
            if (delimiterLength === 1 || c !== delimiter) break;
            if (follows(bytes, i + 1, delimiterRest)) break;
            c = bytes[++i] as number;
          }
          if (fields < width) {
            const length = i - from;
            if (length === nullLength && (length === 0 || isText(bytes, from, nullText))) {
              setNull(block, fields);
            } else if (length > 0) {
              const at = ends[fields] as number;
              let to = data[fields] as Uint8Array;
              if (at + length > to.length) to = growData(block, fields, length);
              copy(bytes, from, i, to, at);
              ends[fields] = at + length;
            }
            (block.offsets[fields] as Int32Array)[row + 1] = ends[fields] as number;
          }
        }
        fields++;
        if (c !== delimiter) break;
        i += delimiterLength;
      }
      let next = i + 1;
      if (i >= end || (c === CR && next === end)) {
        if (!isLast) {
          rollBack(block, fields);
          break;
        }
        next = end;
      } else if (c === CR && bytes[next] === LF) next++;
      if (next - start > smallestLimit)
        assertSizes(block, fields, limits, next - start, base + start);
      block.byteOffsets[row] = base + start;
      if (fields !== width || garbled !== 0) {
        addFault(block, fields, toFault(row, fields, width, garbled, bytes.subarray(start, i)));
      }
      block.rows = row + 1;
      block.lastFields = fields;
      i = next;
      window.start = i;
      if (block.rows === maxRows) return true;
      if (base + i - (block.byteOffsets[0] as number) >= limits.maxBlockBytes) return true;
    }
    if (end - window.start > limits.maxRecordBytes) {
      throw tooLarge(block, "maxRecordBytes", limits.maxRecordBytes, base + window.start);
    }
    return false;
  };
}

/**
 * Takes the quoted field whose quote opens at `at`: appends its value to the column (when there is
 * one) and returns the position behind its closing quote, or -1 when the window ends before it.
 */
export type TakeQuoted = (
  block: BlockBuilder,
  column: number,
  bytes: Uint8Array,
  at: number,
  end: number,
) => number;

export function createTakeQuoted({ quote, escape: escapeMark, isDoubling }: Dialect): TakeQuoted {
  const open = quote.first;
  const size = quote.length;
  // With doubling the escape is found as a quote that another one follows.
  const other = isDoubling ? -1 : escapeMark.first;

  return (block, column, bytes, at, end) => {
    let i = at + size;
    let run = i;
    for (;;) {
      const near = Math.min(end, i + SHORT_BYTES);
      i = scanQuoted(bytes, i, near, open, other);
      if (i === near) {
        if (i >= end) return -1;
        if (other === -1) {
          i = bytes.indexOf(open, i);
          if (i < 0 || i >= end) return -1;
        }
        continue;
      }
      const c = bytes[i] as number;
      if (c === other && follows(bytes, i + 1, escapeMark.rest)) {
        if (i + escapeMark.length >= end) return -1;
        addRun(block, column, bytes, run, i);
        run = i + escapeMark.length;
        i = run + 1;
      } else if (c !== open || !follows(bytes, i + 1, quote.rest)) {
        i++;
      } else if (
        isDoubling &&
        bytes[i + size] === open &&
        follows(bytes, i + size + 1, quote.rest)
      ) {
        addRun(block, column, bytes, run, i + size);
        i += size * 2;
        run = i;
      } else {
        addRun(block, column, bytes, run, i);
        return i + size;
      }
    }
  };
}

// The three loops over bytes are functions of their own: inlined by hand the compiler spills their
// variables, which costs a third of the speed.

/** From `from` on, the first byte that may end an unquoted field. */
function scan(bytes: Uint8Array, from: number, delimiter: number, highest: number): number {
  let i = from;
  let c = bytes[i] as number;
  while (c > highest || (c !== delimiter && c !== LF && c !== CR)) c = bytes[++i] as number;
  return i;
}

/** From `from` on, the first quote or escape before `end`, else `end`. */
function scanQuoted(
  bytes: Uint8Array,
  from: number,
  end: number,
  quote: number,
  other: number,
): number {
  let i = from;
  while (i < end) {
    const c = bytes[i];
    if (c === quote || c === other) break;
    i++;
  }
  return i;
}

function addRun(
  block: BlockBuilder,
  column: number,
  bytes: Uint8Array,
  from: number,
  to: number,
): void {
  const length = to - from;
  if (column >= block.width || length === 0) return;
  const at = block.ends[column] as number;
  let data = block.data[column] as Uint8Array;
  if (at + length > data.length) data = growData(block, column, length);
  copy(bytes, from, to, data, at);
  block.ends[column] = at + length;
}

/** Copies `bytes[from .. end)` to `to[at ..]`. */
function copy(bytes: Uint8Array, from: number, end: number, to: Uint8Array, at: number): void {
  if (end - from >= SHORT_BYTES) to.set(bytes.subarray(from, end), at);
  else for (let i = from, k = at; i < end; i++, k++) to[k] = bytes[i] as number;
}

function isText(bytes: Uint8Array, at: number, text: Uint8Array | undefined): boolean {
  return text !== undefined && follows(bytes, at, text);
}
