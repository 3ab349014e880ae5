import { StageError } from "@sluice/errors";
import type { DelimitedSettings } from "@sluice/schema";

export const LF = 0x0a;
export const CR = 0x0d;

/** No byte has this value: it stands for a quote, escape or null text that the settings leave out. */
const NONE = -1;
const NOTHING: Uint8Array = new Uint8Array(0);

/** A character of the dialect in UTF-8: the first byte apart, since that is what the loop looks for. */
export interface Mark {
  readonly first: number;
  readonly rest: Uint8Array;
  /** Bytes; 0 when the dialect has no such character. */
  readonly length: number;
}

/** Delimited text settings as bytes. */
export interface Dialect {
  readonly delimiter: Mark;
  readonly quote: Mark;
  /** Equal to the quote when quotes are doubled. */
  readonly escape: Mark;
  readonly isDoubling: boolean;
  /** An unquoted field of these bytes is null; undefined when no field is. */
  readonly nullText: Uint8Array | undefined;
  /** Of no length when line breaks end records. */
  readonly recordDelimiter: Mark;
  readonly comment: Mark;
}

/** Whether the dialect is one that only csv-parse reads. */
export function needsCsvParse(settings: DelimitedSettings): boolean {
  const { recordDelimiter, comment } = settings;
  return (recordDelimiter !== undefined || comment !== undefined) && !escapesUnquoted(settings);
}

/** Whether escapes stand in fields without quotes: where there are no quotes, in which they would stand else. */
export function escapesUnquoted({ quote, escape: mark }: DelimitedSettings): boolean {
  return quote === "" && mark !== "";
}

/**
 * Turns settings into bytes. Throws `parse.unsupported_feature` for settings that cannot cut any
 * file: an empty mark, marks that contain a line break, are alike or hide one another.
 */
export function toDialect(settings: DelimitedSettings): Dialect {
  const { delimiter, quote, headerRows, skipRows } = settings;
  if (delimiter === "") throw refuse("the delimiter is empty");
  if (characters(quote) > 1) throw refuse("the quote is more than one character");
  if (characters(settings.escape) > 1) throw refuse("the escape is more than one character");
  if (/[\r\n]/.test(delimiter + quote + settings.escape))
    throw refuse("a mark contains a line break");
  if (quote !== "" && delimiter.startsWith(quote))
    throw refuse("the delimiter begins as the quote");
  assertLines(settings);
  if (headerRows !== 0 && headerRows !== 1) throw refuse(`headerRows is ${headerRows}, not 0 or 1`);
  if (!Number.isSafeInteger(skipRows) || skipRows < 0) throw refuse("skipRows is not a count");
  const escapeText = settings.escape;
  const { recordDelimiter = "", comment = "" } = settings;
  if (escapesUnquoted(settings) && `${delimiter}${recordDelimiter}${comment}`.includes(escapeText))
    throw refuse("the escape is part of another mark");
  return {
    delimiter: toMark(delimiter),
    quote: toMark(quote),
    escape: toMark(escapeText),
    isDoubling: quote !== "" && escapeText === quote,
    nullText: Buffer.from(settings.nullText),
    recordDelimiter: toMark(settings.recordDelimiter ?? ""),
    comment: toMark(settings.comment ?? ""),
  };
}

/** What the API promises of both settings too: see DelimitedSettings in proto/. */
function assertLines({ delimiter, quote, recordDelimiter, comment }: DelimitedSettings): void {
  const holdsQuote = (text: string): boolean => quote !== "" && text.includes(quote);
  if (recordDelimiter !== undefined) {
    if (recordDelimiter === "") throw refuse("the record delimiter is empty");
    if (recordDelimiter.includes(delimiter) || holdsQuote(recordDelimiter))
      throw refuse("the record delimiter contains the delimiter or the quote");
    if (delimiter.includes(recordDelimiter))
      throw refuse("the delimiter contains the record delimiter");
  }
  if (comment === undefined) return;
  if (comment === "") throw refuse("the comment is empty");
  if (comment.startsWith(delimiter) || (quote !== "" && comment.startsWith(quote)))
    throw refuse("the comment begins as the delimiter or the quote");
  if (recordDelimiter === undefined ? /[\r\n]/.test(comment) : comment.includes(recordDelimiter))
    throw refuse("the comment contains what ends its line");
}

/** Whether the bytes from `at` on are `rest`. Both end before or at a byte that no mark contains. */
export function follows(bytes: Uint8Array, at: number, rest: Uint8Array): boolean {
  for (let i = 0; i < rest.length; i++) if (bytes[at + i] !== rest[i]) return false;
  return true;
}

function toMark(text: string): Mark {
  if (text === "") return { first: NONE, rest: NOTHING, length: 0 };
  const bytes = new Uint8Array(Buffer.from(text));
  return { first: bytes[0] ?? NONE, rest: bytes.slice(1), length: bytes.length };
}

function characters(text: string): number {
  return Array.from(text).length;
}

function refuse(message: string): StageError {
  return new StageError("parse", "unsupported_feature", `delimited text: ${message}`);
}
