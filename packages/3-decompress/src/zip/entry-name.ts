import { crc32 } from "node:zlib";
import type { Damage } from "../damage.ts";
import { decodeUtf8 } from "../utf8.ts";

const UTF8_FLAG = 0x0800;
const UNIX = 3;
const MACOS = 19;

/** The upper half of IBM's code page 437, which APPNOTE.TXT (appendix D) names for names without a flag. */
const CP437 =
  "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00a0";

export interface NameSource {
  readonly rawName: Uint8Array;
  readonly flags: number;
  /** The upper byte of "version made by": the system of the writer. */
  readonly host: number;
  /** The Unicode path extra field (4.6.9), if there is one. */
  readonly unicodePath: Buffer | undefined;
}

/**
 * The names that readers may give an entry, the right one first; undefined when it says UTF-8 and is not.
 *
 * UTF-8 by the flag or by the Unicode path field. Without either the name is CP437, but writers on Unix and
 * macOS put their own encoding there: taken for UTF-8 when it is that.
 */
export function entryNames(
  { rawName, flags, host, unicodePath }: NameSource,
  damage: Damage,
): readonly [string, ...string[]] | undefined {
  const utf8 = decodeUtf8(rawName);
  const isFlagged = (flags & UTF8_FLAG) !== 0;
  if (isFlagged && utf8 === undefined) return undefined;
  const isNative = host === UNIX || host === MACOS;
  const plain = (isFlagged || isNative ? utf8 : undefined) ?? fromCp437(rawName);
  if (unicodePath === undefined) return [plain];

  if (unicodePath.byteLength < 5 || unicodePath[0] !== 1) {
    throw damage.corrupt("An entry's Unicode path field is broken.");
  }
  if (unicodePath.readUInt32LE(1) !== crc32(rawName)) {
    throw damage.corrupt("An entry's Unicode path field belongs to another name.");
  }
  const path = decodeUtf8(unicodePath.subarray(5));
  if (path === undefined) return undefined;
  if (isFlagged && path !== plain) {
    throw damage.corrupt("An entry has two different names in UTF-8.");
  }
  return path === plain ? [path] : [path, plain];
}

function fromCp437(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += byte < 0x80 ? String.fromCharCode(byte) : CP437[byte - 0x80];
  return text;
}
