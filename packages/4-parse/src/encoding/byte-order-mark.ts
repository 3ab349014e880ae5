import { type Charset, UTF_8, UTF_16BE, UTF_16LE } from "./charset.ts";

/** Bytes that are enough to know a byte order mark. */
export const MARK_BYTES = 4;

/** What a byte order mark at the start says: a charset, or the name of one that is not read. */
export type ByteOrderMark = Charset | "UTF-32LE" | "UTF-32BE" | undefined;

/** Tells by the first bytes of a file; `FF FE 00 00` is UTF-32, not UTF-16 with a NUL. */
export function byteOrderMark(head: Uint8Array): ByteOrderMark {
  const [a, b, c, d] = head;
  if (a === 0xef && b === 0xbb && c === 0xbf) return UTF_8;
  if (a === 0xff && b === 0xfe) return c === 0 && d === 0 ? "UTF-32LE" : UTF_16LE;
  if (a === 0xfe && b === 0xff) return UTF_16BE;
  if (a === 0 && b === 0 && c === 0xfe && d === 0xff) return "UTF-32BE";
  return undefined;
}
