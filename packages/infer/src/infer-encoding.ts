import type { TextEncoding } from "@sluice/schema";
import { type Guess, guess } from "./guess.ts";

/**
 * How characters are written in the first bytes of a text: by its byte order mark, by the zeros of UTF-16, by the
 * grammar of UTF-8; else Windows-1252, or ISO 8859-1 for bytes that it has no character for.
 */
export function inferEncoding(head: Uint8Array, isWhole: boolean): Guess<TextEncoding> {
  const [first, second, third] = head;
  if (first === 0xef && second === 0xbb && third === 0xbf) {
    return guess("utf-8", 1, "the byte order mark of UTF-8");
  }
  if (first === 0xff && second === 0xfe) {
    return guess("utf-16le", 1, "the byte order mark of UTF-16, little endian");
  }
  if (first === 0xfe && second === 0xff) {
    return guess("utf-16be", 1, "the byte order mark of UTF-16, big endian");
  }
  const { even, odd } = zeros(head);
  const half = Math.floor(head.byteLength / 2);
  if (half >= 4 && odd > half * 0.4 && even < half * 0.1) {
    return guess("utf-16le", 0.9, "every second byte is zero, as in UTF-16, little endian");
  }
  if (half >= 4 && even > half * 0.4 && odd < half * 0.1) {
    return guess("utf-16be", 0.9, "every other byte is zero, as in UTF-16, big endian");
  }
  const high = head.reduce((count, byte) => count + (byte >= 0x80 ? 1 : 0), 0);
  if (high === 0) return guess("utf-8", 0.95, "ASCII alone, which is UTF-8 as well");
  if (isUtf8(head, isWhole)) {
    return guess("utf-8", 0.99, `${high} bytes beyond ASCII, all of them of UTF-8 characters`);
  }
  const holes = head.some((byte) => WINDOWS_1252_HOLES.has(byte));
  const evidence = `${high} bytes beyond ASCII that are no UTF-8`;
  return holes
    ? guess("latin-1", 0.5, `${evidence}, some of which Windows-1252 has no character for`)
    : guess("windows-1252", 0.7, evidence);
}

/** What speaks against taking a head for ISO 8859-1, in words; undefined for all other encodings. */
export function encodingDoubt(head: Uint8Array, encoding: TextEncoding): string | undefined {
  if (encoding !== "latin-1") return undefined;
  const controls = head.reduce((count, byte) => count + (byte >= 0x80 && byte < 0xa0 ? 1 : 0), 0);
  if (controls === 0) return undefined;
  return `${controls} bytes of the sample are control characters in ISO 8859-1, and no encoding that is read has a letter for all of them: the file may be written in a code page of DOS, as 437 or 850. Its letters would load wrong: have it written in UTF-8`;
}

const WINDOWS_1252_HOLES: ReadonlySet<number> = new Set([0x81, 0x8d, 0x8f, 0x90, 0x9d]);

function zeros(bytes: Uint8Array): { readonly even: number; readonly odd: number } {
  let even = 0;
  let odd = 0;
  for (const [at, byte] of bytes.entries()) {
    if (byte !== 0) continue;
    if (at % 2 === 0) even++;
    else odd++;
  }
  return { even, odd };
}

/** A head may end inside of a character. */
function isUtf8(bytes: Uint8Array, isWhole: boolean): boolean {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes, { stream: !isWhole });
    return true;
  } catch {
    // What a fatal decoder throws for bytes that are no character is the answer.
    return false;
  }
}

const LABELS: Readonly<Record<TextEncoding, string>> = {
  "utf-8": "utf-8",
  "utf-16le": "utf-16le",
  "utf-16be": "utf-16be",
  "latin-1": "windows-1252",
  "windows-1252": "windows-1252",
};

/** The text of a head, for looking at it alone. */
export function headText(head: Uint8Array, encoding: TextEncoding): string {
  return new TextDecoder(LABELS[encoding]).decode(head).replace(/^\uFEFF/, "");
}
