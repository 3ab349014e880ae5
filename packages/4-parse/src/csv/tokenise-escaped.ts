import {
  addFault,
  appendBytes,
  type BlockBuilder,
  endRecord,
  rollBack,
  setNull,
} from "../blocks/block-builder.ts";
import type { Window } from "../window/window.ts";
import { CR, type Dialect, follows, LF } from "./dialect.ts";
import { toFault } from "./fault.ts";
import { assertSizes, type DelimitedLimits, maxRowsOf, tooLarge } from "./limits.ts";
import { toLineEnds } from "./line-ends.ts";
import { createPassOver } from "./pass-over.ts";
import type { Tokenise } from "./tokenise.ts";

/** What some letters mean behind the escape: in MySQL's LOAD DATA, PostgreSQL's COPY, ClickHouse's TabSeparated. */
const LETTERS = new Map(
  Object.entries({ "0": 0, b: 8, t: 9, n: 10, v: 11, f: 12, r: 13, Z: 26 }).map(
    ([letter, byte]) => [letter.charCodeAt(0), Uint8Array.of(byte)] as const,
  ),
);
const NULL_LETTER = "N".charCodeAt(0);

/**
 * The tokeniser for dialects without quotes, in which an escape takes the delimiter, a line end and itself for text:
 * what MySQL, PostgreSQL, Hive and ClickHouse write. Behind the escape
 * - the delimiter's or the record delimiter's first character and every other one stands for itself, CRLF for both;
 * - `0 b t n v f r Z` stand for the control characters that they mean in those systems;
 * - `N` keeps its escape: a field that is `\N` can be named by the null text, and is text where it is not;
 * - the file's end makes it text.
 *
 * The null text is held against a field as it stands in the file. Blank lines and the limits are as in `createTokenise`.
 */
export function createTokeniseEscaped(dialect: Dialect, limits: DelimitedLimits): Tokenise {
  const { delimiter, escape: mark, recordDelimiter, nullText } = dialect;
  const lineEnds = toLineEnds(dialect);
  const passOver = createPassOver(dialect, lineEnds, limits);
  const isOwnLineEnd = recordDelimiter.length > 0;
  const lineEnd = isOwnLineEnd ? recordDelimiter.first : LF;
  const otherLineEnd = isOwnLineEnd ? recordDelimiter.first : CR;

  const isMarkAt = ({ bytes, end }: Window, at: number, { length, rest }: typeof mark): boolean =>
    at + length <= end && follows(bytes, at + 1, rest);

  /** Writes what the escape at `at` makes of the character behind it, and returns the position behind that. */
  const takeEscaped = (window: Window, block: BlockBuilder, column: number, at: number): number => {
    const { bytes, end } = window;
    const next = at + mark.length;
    const c = bytes[next] as number;
    const isOther = c !== delimiter.first && c !== recordDelimiter.first;
    const letter = isOther && next < end ? LETTERS.get(c) : undefined;
    let to = Math.min(next + 1, end);
    if (!isOwnLineEnd && c === CR && to < end && bytes[to] === LF) to++;
    if (column < block.width) {
      if (letter !== undefined) appendBytes(block, column, letter, 0, 1);
      else if (next === end || (c === NULL_LETTER && isOther))
        appendBytes(block, column, bytes, at, to);
      else appendBytes(block, column, bytes, next, to);
    }
    return to;
  };

  return (window, block, isLast) => {
    const { bytes, end, base } = window;
    const { width } = block;
    const maxRows = maxRowsOf(limits, width);
    for (;;) {
      const start = passOver(window, block, window.start);
      window.start = start;
      if (start >= end) break;
      let fields = 0;
      let i = start;
      let run = start;
      let field = start;
      let lineEndBytes: number | undefined = 0;

      const endField = (): void => {
        if (fields < width) {
          appendBytes(block, fields, bytes, run, i);
          const isNull =
            nullText !== undefined &&
            i - field === nullText.length &&
            follows(bytes, field, nullText);
          if (isNull) {
            block.ends[fields] = block.offsets[fields]?.[block.rows] ?? 0;
            setNull(block, fields);
          }
        }
        fields++;
      };

      while (i < end) {
        const c = bytes[i] as number;
        if (c === mark.first && isMarkAt(window, i, mark)) {
          // What is behind it, and whether CR has its LF, may stand behind the window.
          if (!isLast && i + mark.length + 2 > end) {
            i = end;
            break;
          }
          if (fields < width) appendBytes(block, fields, bytes, run, i);
          i = takeEscaped(window, block, fields, i);
          run = i;
        } else if (c === delimiter.first && isMarkAt(window, i, delimiter)) {
          endField();
          i += delimiter.length;
          field = i;
          run = i;
        } else if (c === lineEnd || c === otherLineEnd) {
          lineEndBytes = lineEnds.at(window, i);
          if (lineEndBytes !== 0) break;
          i++;
        } else i++;
      }
      if (lineEndBytes === undefined || (i >= end && !isLast)) {
        rollBack(block, fields + 1);
        break;
      }
      endField();
      const next = i + lineEndBytes;
      if (next - start > Math.min(limits.maxFieldBytes, limits.maxRecordBytes))
        assertSizes(block, fields, limits, next - start, base + start);
      if (fields !== width)
        addFault(block, fields, toFault(block.rows, fields, width, 0, bytes.subarray(start, i)));
      endRecord(block, base + start);
      block.lastFields = fields;
      window.start = next;
      const taken = base + next - (block.byteOffsets[0] ?? 0);
      if (block.rows === maxRows || taken >= limits.maxBlockBytes) return true;
    }
    if (end - window.start > limits.maxRecordBytes)
      throw tooLarge(block, "maxRecordBytes", limits.maxRecordBytes, base + window.start);
    return false;
  };
}
