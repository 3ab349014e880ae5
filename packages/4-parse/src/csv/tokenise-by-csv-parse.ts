import { StageError } from "@sluice/errors";
import { CsvError, type Options, parse } from "csv-parse/sync";
import {
  addFault,
  type BlockBuilder,
  createBlockBuilder,
  endRecord,
  growData,
  placeOf,
  setNull,
} from "../blocks/block-builder.ts";
import type { Window } from "../window/window.ts";
import { type Dialect, follows, type Mark } from "./dialect.ts";
import { toFault, unclosed } from "./fault.ts";
import { assertSizes, type DelimitedLimits, maxRowsOf, tooLarge } from "./limits.ts";
import { type LineEnds, toLineEnds } from "./line-ends.ts";
import { createPassOver } from "./pass-over.ts";
import { createTakeQuoted, type Tokenise } from "./tokenise.ts";

/** csv-parse is stopped by what its handlers throw; this is no error. */
const FULL: Error = new Error("the block is full");

/** Fields of a record are held one by one: in windows beyond this their count is watched as they come. */
const WATCHED_WINDOW_BYTES = 2 ** 20;

/**
 * The tokeniser for dialects with a record delimiter or comments. csv-parse cuts each window as if it were a file;
 * a record that touches the window's end may go on behind it and is cut again with what follows. It is told to read
 * bytes as Latin-1, so that one character is one byte and nothing can be replaced.
 *
 * The rules are those of `createTokenise`, with quotes relaxed to them. csv-parse takes some text behind a closing
 * quote for the field's (before a NUL, before a comment) and does not say so: each quoted field is held against the bytes.
 * A record of more than `maxColumns` fields is no fault here, but `parse.record_too_large`.
 */
export function createTokeniseByCsvParse(dialect: Dialect, limits: DelimitedLimits): Tokenise {
  const { delimiter, quote } = dialect;
  const lineEnds = toLineEnds(dialect);
  const passOver = createPassOver(dialect, lineEnds, limits);
  const endOfQuoted = createEndOfQuoted(dialect);
  const nullText = dialect.nullText === undefined ? undefined : latin1(dialect.nullText);
  const options = toOptions(dialect);

  return (window, block, isLast) => {
    const { bytes, base } = window;
    const { width } = block;
    const maxRows = maxRowsOf(limits, width);
    const from = window.start;
    let at = from;
    let isFull = false;

    const tooMany = (): StageError => {
      const place = placeOf(block, block.rows, base + passOver(window, block, at));
      const message = `a record of more than maxColumns = ${limits.maxColumns} fields`;
      return new StageError("parse", "record_too_large", message, place);
    };

    const take = (values: readonly string[], next: number): void => {
      const start = passOver(window, block, at);
      const fields = values.length;
      if (fields > limits.maxColumns) throw tooMany();
      let field = start;
      let garbled = 0;
      for (let column = 0; column < fields && garbled === 0; column++) {
        const value = values[column] as string;
        const isQuoted = bytes[field] === quote.first && follows(bytes, field + 1, quote.rest);
        const end = isQuoted ? endOfQuoted(window, field) : field + value.length;
        const isLastField = column === fields - 1;
        if (isQuoted) {
          const isWhole = isLastField
            ? end + (lineEnds.at(window, end) ?? 0) === next
            : bytes[end] === delimiter.first && follows(bytes, end + 1, delimiter.rest);
          if (!isWhole) garbled = column + 1;
        }
        if (column < width && garbled === 0) {
          if (!isQuoted && value === nullText) setNull(block, column);
          else append(block, column, value);
        }
        field = end + delimiter.length;
      }
      if (next - start > Math.min(limits.maxFieldBytes, limits.maxRecordBytes))
        assertSizes(block, fields, limits, next - start, base + start);
      if (fields !== width || garbled !== 0) {
        const record = bytes.subarray(start, withoutLineEnd(window, start, next, lineEnds));
        addFault(block, fields, toFault(block.rows, fields, width, garbled, record));
      }
      endRecord(block, base + start);
      block.lastFields = fields;
      at = next;
      const taken = base + at - (block.byteOffsets[0] ?? 0);
      if (block.rows === maxRows || taken >= limits.maxBlockBytes) throw FULL;
    };

    try {
      parse(Buffer.from(bytes.buffer, bytes.byteOffset + from, window.end - from), {
        ...options,
        skip_empty_lines: width !== 1,
        ...(window.end - from > WATCHED_WINDOW_BYTES
          ? {
              cast: (value, { index }) => {
                if (index >= limits.maxColumns) throw tooMany();
                return value;
              },
            }
          : {}),
        on_record(values, info) {
          const next = from + info.bytes;
          if (next < window.end || isLast) take(values, next);
          return undefined;
        },
      });
    } catch (error) {
      if (error === FULL) isFull = true;
      else if (!(error instanceof CsvError)) throw error;
      else if (error.code !== "CSV_QUOTE_NOT_CLOSED") throw untold(error, block, base + at);
      else if (isLast) throw unclosed(block, base + opened(error));
    }
    window.start = isFull ? at : passOver(window, block, at);
    if (!isFull && window.end - window.start > limits.maxRecordBytes)
      throw tooLarge(block, "maxRecordBytes", limits.maxRecordBytes, base + window.start);
    return isFull;

    /** Where the quote opens that the error is about: at the record's begin, or behind the field before it. */
    function opened({ index, bytes: before }: CsvError): number {
      return index === 0 ? passOver(window, block, at) : from + Number(before) + delimiter.length;
    }
  };
}

function toOptions({ delimiter, quote, escape: escapeMark, ...dialect }: Dialect): Options {
  const { recordDelimiter, comment } = dialect;
  return {
    encoding: "latin1",
    delimiter: textOf(delimiter),
    quote: quote.length === 0 ? null : textOf(quote),
    escape: escapeMark.length === 0 ? null : textOf(escapeMark),
    record_delimiter: recordDelimiter.length === 0 ? ["\r\n", "\n", "\r"] : textOf(recordDelimiter),
    comment: comment.length === 0 ? null : textOf(comment),
    comment_no_infix: true,
    relax_column_count: true,
    relax_quotes: true,
  };
}

/** Position behind the closing quote of the field whose quote opens at `at`. */
function createEndOfQuoted(dialect: Dialect): (window: Window, at: number) => number {
  const takeQuoted = createTakeQuoted(dialect);
  // Without columns nothing is written.
  const nowhere = createBlockBuilder(0);
  return ({ bytes, end }, at) => takeQuoted(nowhere, 0, bytes, at, end);
}

function withoutLineEnd(window: Window, start: number, next: number, lineEnds: LineEnds): number {
  for (let length = Math.min(lineEnds.maxBytes, next - start); length > 0; length--)
    if (lineEnds.at(window, next - length) === length) return next - length;
  return next;
}

/** Appends a text each character of which is a byte. */
function append(block: BlockBuilder, column: number, value: string): void {
  const { length } = value;
  const at = block.ends[column] as number;
  let data = block.data[column] as Uint8Array;
  if (at + length > data.length) data = growData(block, column, length);
  for (let i = 0; i < length; i++) data[at + i] = value.charCodeAt(i);
  block.ends[column] = at + length;
}

function untold(cause: CsvError, block: BlockBuilder, byteOffset: number): StageError {
  const place = placeOf(block, block.rows, byteOffset);
  return new StageError("parse", "malformed", "csv-parse cannot cut this", { ...place, cause });
}

function textOf({ first, rest }: Mark): string {
  return latin1(Uint8Array.of(first, ...rest));
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("latin1");
}
