import { isAscii, isUtf8 } from "node:buffer";

/** What a piece of bytes says in a charset, and how far it could be read. */
export interface Decoded {
  readonly text: string;
  /** Bytes that `text` was made of; those behind them begin a character that is not whole yet. */
  readonly taken: number;
  /** Whether what stands at `taken` is no character, however many bytes may follow. */
  readonly isInvalid: boolean;
}

/** A way to write characters as bytes. Nothing is ever replaced: what is no character is said so. */
export interface Charset {
  /** As messages call it. */
  readonly name: string;
  /** `isLast`: nothing follows, so that a character that is not whole is invalid. */
  decode(bytes: Uint8Array, isLast: boolean): Decoded;
  /** Bytes that a text of whole characters takes in this charset. */
  byteLength(text: string): number;
}

const view = (bytes: Uint8Array): Buffer =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const units = (text: string): number => text.length;

/** UTF-8 without overlong forms and surrogates (RFC 3629). */
export const UTF_8: Charset = {
  name: "UTF-8",
  decode(bytes, isLast) {
    const whole = isLast ? bytes.byteLength : wholeUtf8(bytes);
    const part = bytes.subarray(0, whole);
    if (isAscii(part))
      return { text: view(part).toString("latin1"), taken: whole, isInvalid: false };
    const isValid = isUtf8(part);
    const taken = isValid ? whole : firstInvalidUtf8(bytes, 0, whole);
    return { text: view(part).toString("utf8", 0, taken), taken, isInvalid: !isValid };
  },
  byteLength: (text) => Buffer.byteLength(text),
};

/** UTF-16 (RFC 2781): surrogates stand in pairs, bytes too. */
function utf16(name: string, isBigEndian: boolean): Charset {
  return {
    name,
    decode(bytes, isLast) {
      const even = bytes.byteLength & ~1;
      const part = isBigEndian ? Buffer.from(bytes.subarray(0, even)).swap16() : view(bytes);
      let text = part.toString("utf16le", 0, even);
      // A high surrogate at the end waits for its other half.
      if (!isLast && isHighSurrogate(text.charCodeAt(text.length - 1))) text = text.slice(0, -1);
      if (text.isWellFormed()) {
        const taken = text.length * 2;
        return { text, taken, isInvalid: isLast && taken < bytes.byteLength };
      }
      const at = firstLoneSurrogate(text);
      return { text: text.slice(0, at), taken: at * 2, isInvalid: true };
    },
    byteLength: (text) => text.length * 2,
  };
}
export const UTF_16LE: Charset = utf16("UTF-16LE", false);
export const UTF_16BE: Charset = utf16("UTF-16BE", true);

/** ISO-8859-1: each byte is the character of its number. */
export const LATIN_1: Charset = {
  name: "ISO-8859-1",
  decode: (bytes) => ({
    text: view(bytes).toString("latin1"),
    taken: bytes.byteLength,
    isInvalid: false,
  }),
  byteLength: units,
};

export const US_ASCII: Charset = {
  name: "US-ASCII",
  decode(bytes) {
    const at = isAscii(bytes) ? -1 : bytes.findIndex((byte) => byte >= 0x80);
    return untilByte(bytes, at, view(bytes).toString("latin1"));
  },
  byteLength: units,
};

/** The characters of the bytes 0x80 to 0x9f; a replacement character where there is none. */
const WINDOWS_1252_HIGH = "€\ufffd‚ƒ„…†‡ˆ‰Š‹Œ\ufffdŽ\ufffd\ufffd‘’“”•–—˜™š›œ\ufffdžŸ";
const UNDEFINED_IN_1252 = /[\u0081\u008d\u008f\u0090\u009d]/;

/** Windows-1252, whose five bytes without a character are invalid. */
export const WINDOWS_1252: Charset = {
  name: "Windows-1252",
  decode(bytes) {
    const latin = view(bytes).toString("latin1");
    const at = latin.search(UNDEFINED_IN_1252);
    const text = latin.replace(/[\u0080-\u009f]/g, (c) =>
      WINDOWS_1252_HIGH.charAt(c.charCodeAt(0) - 0x80),
    );
    return untilByte(bytes, at, text);
  },
  byteLength: units,
};

/** From `from` on, the first byte that begins no UTF-8 character; `to` when all do. */
export function firstInvalidUtf8(bytes: Uint8Array, from: number, to: number): number {
  let at = from;
  while (at < to) {
    const length = utf8Length(bytes[at] ?? 0);
    if (at + length > to || (length > 1 && !isUtf8(bytes.subarray(at, at + length)))) return at;
    if (length === 1 && (bytes[at] ?? 0) >= 0x80) return at;
    at += length;
  }
  return to;
}

/** Bytes that a character takes by its first byte; 1 for what cannot be a first byte. */
function utf8Length(lead: number): number {
  if (lead < 0xc0) return 1;
  return lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf8 ? 4 : 1;
}

/** How many bytes there are without those of a last character that may still become whole. */
export function wholeUtf8(bytes: Uint8Array): number {
  const end = bytes.byteLength;
  for (let back = 1; back <= Math.min(3, end); back++) {
    const byte = bytes[end - back] ?? 0;
    if ((byte & 0xc0) !== 0x80) return utf8Length(byte) > back ? end - back : end;
  }
  return end;
}

function untilByte(bytes: Uint8Array, at: number, text: string): Decoded {
  if (at < 0) return { text, taken: bytes.byteLength, isInvalid: false };
  return { text: text.slice(0, at), taken: at, isInvalid: true };
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}

function firstLoneSurrogate(text: string): number {
  return text.search(/\p{Surrogate}/u);
}
