import { StageError } from "@sluice/errors";
import type { TextEncoding } from "@sluice/schema";
import { peek } from "@sluice/streams";
import { byteOrderMark, MARK_BYTES } from "../encoding/byte-order-mark.ts";
import {
  type Charset,
  LATIN_1,
  UTF_8,
  UTF_16BE,
  UTF_16LE,
  WINDOWS_1252,
} from "../encoding/charset.ts";
import { textPieces } from "../encoding/text-pieces.ts";

const CHARSETS: Record<TextEncoding, Charset> = {
  "utf-8": UTF_8,
  "utf-16le": UTF_16LE,
  "utf-16be": UTF_16BE,
  "latin-1": LATIN_1,
  "windows-1252": WINDOWS_1252,
};

/** A file as UTF-8, its byte order mark, if any, included. */
export interface Utf8Source {
  /** What the file itself is written in. */
  readonly charset: Charset;
  /** UTF-8 files pass as they are, unchecked. */
  readonly bytes: AsyncIterable<Uint8Array>;
}

/**
 * Reads the first bytes and decides how to read the others: as declared, or, where UTF-8 is, as a byte
 * order mark of UTF-16 says. Throws `parse.bad_encoding` for a mark that contradicts another declaration, and
 * for those of UTF-32. `bytes` throws it where a byte is no character, once the text before it was given.
 */
export async function toUtf8(
  source: AsyncIterable<Uint8Array>,
  encoding: TextEncoding,
): Promise<Utf8Source> {
  const { head, bytes, close } = await peek(source, MARK_BYTES);
  try {
    const charset = charsetOf(head, encoding);
    return { charset, bytes: charset === UTF_8 ? bytes : transcoded(bytes, charset) };
  } catch (error) {
    await close();
    throw error;
  }
}

function charsetOf(head: Uint8Array, encoding: TextEncoding): Charset {
  const declared = CHARSETS[encoding];
  const mark = byteOrderMark(head);
  if (mark === undefined || mark === declared) return declared;
  if (typeof mark === "string") {
    throw new StageError("parse", "bad_encoding", `the file is ${mark}: write it as UTF-8`, {
      byteOffset: 0,
      seen: `a byte order mark of ${mark}`,
      expected: declared.name,
    });
  }
  if (declared === UTF_8) return mark;
  const message = `the file begins as ${mark.name}: set the encoding to ${mark.name.toLowerCase()}`;
  throw new StageError("parse", "bad_encoding", message, {
    byteOffset: 0,
    seen: `a byte order mark of ${mark.name}`,
    expected: declared.name,
    proposed: [{ setting: "delimited.encoding", value: mark.name.toLowerCase() }],
  });
}

/**
 * Puts a character behind the text that invalid bytes follow: it is never part of a record that is given, but
 * a carriage return before it is known to end its line, so that the error names the right row.
 */
async function* transcoded(
  source: AsyncIterable<Uint8Array>,
  charset: Charset,
): AsyncGenerator<Uint8Array> {
  try {
    for await (const { text } of textPieces(source, charset)) yield Buffer.from(text);
  } catch (error) {
    if (error instanceof StageError && error.code === "bad_encoding") yield Buffer.from("\ufffd");
    throw error;
  }
}
