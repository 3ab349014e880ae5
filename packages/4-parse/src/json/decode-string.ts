import { BACKSLASH } from "./scan.ts";

const LOWER_U = 0x75;

/** The character that a letter behind a backslash stands for; 0 for those that stand for themselves. */
const CHARACTERS = new Uint8Array(256);
for (const [letter, character] of [
  ["b", 0x08],
  ["t", 0x09],
  ["n", 0x0a],
  ["f", 0x0c],
  ["r", 0x0d],
] as const) {
  CHARACTERS[letter.charCodeAt(0)] = character;
}

/**
 * Writes the text of the string `bytes[from .. to)`, whose grammar is known to be sound, to `out` from
 * `at` on in UTF-8, and gives the position behind it. -1 when an escape stands for half a character: a
 * surrogate without its other half. The text is never longer than the string.
 */
export function decodeString(
  bytes: Uint8Array,
  from: number,
  to: number,
  out: Uint8Array,
  at: number,
): number {
  let i = from;
  let k = at;
  while (i < to) {
    const c = bytes[i] as number;
    if (c !== BACKSLASH) {
      out[k++] = c;
      i++;
      continue;
    }
    const kind = bytes[i + 1] as number;
    i += 2;
    if (kind !== LOWER_U) {
      out[k++] = CHARACTERS[kind] || kind;
      continue;
    }
    let code = readHex(bytes, i);
    i += 4;
    if (code >= 0xd800 && code < 0xe000) {
      if (code >= 0xdc00 || i + 6 > to || bytes[i] !== BACKSLASH || bytes[i + 1] !== LOWER_U) {
        return -1;
      }
      const low = readHex(bytes, i + 2);
      if (low < 0xdc00 || low > 0xdfff) return -1;
      code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
      i += 6;
    }
    k = encode(code, out, k);
  }
  return k;
}

function readHex(bytes: Uint8Array, at: number): number {
  let value = 0;
  for (let i = at; i < at + 4; i++) {
    const c = bytes[i] as number;
    // 0-9 end in their value; the letters of either case end in 1 to 6.
    value = (value << 4) | (c < 0x40 ? c & 0xf : (c & 0x7) + 9);
  }
  return value;
}

function encode(code: number, out: Uint8Array, at: number): number {
  let k = at;
  if (code < 0x80) {
    out[k++] = code;
  } else if (code < 0x800) {
    out[k++] = 0xc0 | (code >> 6);
    out[k++] = 0x80 | (code & 0x3f);
  } else {
    if (code < 0x10000) {
      out[k++] = 0xe0 | (code >> 12);
    } else {
      out[k++] = 0xf0 | (code >> 18);
      out[k++] = 0x80 | ((code >> 12) & 0x3f);
    }
    out[k++] = 0x80 | ((code >> 6) & 0x3f);
    out[k++] = 0x80 | (code & 0x3f);
  }
  return k;
}
