import { StageError } from "@sluice/errors";
import { byteOrderMark } from "../encoding/byte-order-mark.ts";
import {
  type Charset,
  LATIN_1,
  US_ASCII,
  UTF_8,
  UTF_16BE,
  UTF_16LE,
  WINDOWS_1252,
} from "../encoding/charset.ts";

/** The first bytes that are looked at; a longer XML declaration is held against what they said. */
export const HEAD_BYTES = 1024;

/** Labels of the XML declaration (IANA's names), and the charsets that they may stand for, the likely one first. */
const LABELS: ReadonlyMap<string, readonly Charset[]> = new Map([
  ["utf-8", [UTF_8]],
  ["utf8", [UTF_8]],
  ["utf-16", [UTF_16LE, UTF_16BE]],
  ["utf-16le", [UTF_16LE]],
  ["utf-16be", [UTF_16BE]],
  ["iso-8859-1", [LATIN_1]],
  ["iso8859-1", [LATIN_1]],
  ["latin1", [LATIN_1]],
  ["us-ascii", [US_ASCII]],
  ["ascii", [US_ASCII]],
  ["windows-1252", [WINDOWS_1252]],
  ["cp1252", [WINDOWS_1252]],
]);

/** How `<?` or `<` begins where a character is not one byte of ASCII (XML 1.0, appendix F). */
const BEGINNINGS: readonly {
  readonly bytes: readonly number[];
  readonly seen: Charset | string;
}[] = [
  { bytes: [0x3c, 0, 0, 0], seen: "UTF-32LE" },
  { bytes: [0, 0, 0, 0x3c], seen: "UTF-32BE" },
  { bytes: [0x3c, 0], seen: UTF_16LE },
  { bytes: [0, 0x3c], seen: UTF_16BE },
  { bytes: [0x4c, 0x6f, 0xa7, 0x94], seen: "EBCDIC" },
  { bytes: [0x2b, 0x41, 0x44, 0x77], seen: "UTF-7" },
];

/**
 * Tells a document's charset by its byte order mark, its first bytes or its XML declaration, in this order; UTF-8
 * without any of them. Throws `parse.bad_encoding` for a charset that is not read, naming it.
 */
export function detectCharset(head: Uint8Array): Charset {
  const mark = byteOrderMark(head);
  const seen = mark ?? BEGINNINGS.find(({ bytes }) => bytes.every((b, i) => head[i] === b))?.seen;
  if (typeof seen === "string") throw refuse(seen);
  if (seen !== undefined) return seen;
  const text = Buffer.from(head).toString("latin1");
  const label = /^<\?xml\s[^>]*?\sencoding\s*=\s*["']([^"'<>]*)["']/.exec(text)?.[1];
  if (label === undefined) return UTF_8;
  const [charset] = charsetsOf(label);
  if (charset !== UTF_16LE && charset !== UTF_16BE && charset !== undefined) return charset;
  throw contradiction(label, "bytes of ASCII");
}

/** Throws `parse.bad_encoding` when the label of the XML declaration is not that of the charset the document is read in. */
export function assertLabel(label: string | undefined, charset: Charset): void {
  if (label === undefined || charsetsOf(label).includes(charset)) return;
  throw contradiction(label, charset.name);
}

function charsetsOf(label: string): readonly Charset[] {
  const charsets = LABELS.get(label.toLowerCase());
  if (charsets === undefined) throw refuse(shown(label));
  return charsets;
}

function refuse(name: string): StageError {
  return new StageError("parse", "bad_encoding", `${name} is not read: write the file as UTF-8`, {
    byteOffset: 0,
    seen: name,
    expected: "UTF-8, UTF-16, ISO-8859-1, US-ASCII or Windows-1252",
  });
}

function contradiction(label: string, seen: string): StageError {
  const message = `the XML declaration says ${shown(label)}, and the file is ${seen}: correct one of them`;
  return new StageError("parse", "bad_encoding", message, {
    byteOffset: 0,
    seen,
    expected: shown(label),
  });
}

/** A label as messages show it: as XML allows labels to be, and not at length. */
function shown(label: string): string {
  return label.replaceAll(/[^A-Za-z0-9._-]/g, "?").slice(0, 40);
}
