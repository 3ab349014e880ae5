import type { Damage } from "../damage.ts";
import { decodeUtf8 } from "../utf8.ts";

export const BLOCK_BYTES = 512;

/** One header block (POSIX.1-1988 ustar; the same fields in old v7 and GNU archives). */
export interface TarHeader {
  /** The type flag's character; NUL for the regular files of v7. */
  readonly type: string;
  /** The name and, in ustar, the prefix before it; undefined when it is not UTF-8. */
  readonly name: string | undefined;
  /** Bytes of data behind the header. It may be larger than any number: compare, do not convert. */
  readonly size: bigint;
}

/** Whether a block has only zero bytes: two of them end an archive. */
export function isZeroBlock(block: Uint8Array): boolean {
  return block.every((byte) => byte === 0);
}

/**
 * Whether the checksum field holds the sum of the block's bytes, with the field itself taken as spaces.
 * Old Sun tar summed signed bytes; readers take both.
 */
export function hasTarChecksum(block: Uint8Array): boolean {
  const wanted = octal(block.subarray(148, 156));
  if (wanted === undefined) return false;
  let unsigned = 8 * 0x20;
  let signed = unsigned;
  for (let i = 0; i < BLOCK_BYTES; i++) {
    if (i >= 148 && i < 156) continue;
    const byte = block[i] ?? 0;
    unsigned += byte;
    signed += byte < 0x80 ? byte : byte - 0x100;
  }
  return wanted === BigInt(unsigned) || wanted === BigInt(signed);
}

/** Reads a header block; throws `corrupt` when it is none. */
export function parseTarHeader(block: Uint8Array, damage: Damage): TarHeader {
  if (!hasTarChecksum(block))
    throw damage.corrupt("An entry's header does not match its checksum.");
  const size = number(block.subarray(124, 136));
  if (size === undefined) throw damage.corrupt("The size in an entry's header is not a number.");
  if (size < 0n) throw damage.corrupt("The size in an entry's header is negative.");
  // GNU has a time where ustar has the prefix. Go before 1.8 wrote a prefix there, which some readers take.
  if (magicOf(block) === "ustar " && number(block.subarray(345, 357)) === undefined) {
    throw damage.corrupt("A GNU header has a name's prefix, which it has no room for.");
  }
  return { type: String.fromCharCode(block[156] ?? 0), name: nameOf(block), size };
}

const magicOf = (block: Uint8Array): string =>
  Buffer.from(block.subarray(257, 263)).toString("latin1");

function nameOf(block: Uint8Array): string | undefined {
  const name = cString(block.subarray(0, 100));
  if (magicOf(block) !== "ustar\0") return decodeUtf8(name);
  // Schily's star keeps times in the last bytes of the prefix, and says so at the block's end.
  const isStar = Buffer.from(block.subarray(508, 512)).toString("latin1") === "tar\0";
  const prefix = cString(block.subarray(345, isStar ? 476 : 500));
  if (prefix.byteLength === 0) return decodeUtf8(name);
  return decodeUtf8(Buffer.concat([prefix, Buffer.from("/"), name]));
}

/** The bytes before the first NUL. */
export function cString(field: Uint8Array): Uint8Array {
  const end = field.indexOf(0);
  return end === -1 ? field : field.subarray(0, end);
}

/** Octal digits, or GNU's base-256: two's complement, big endian, marked by the first bit. */
function number(field: Uint8Array): bigint | undefined {
  const first = field[0] ?? 0;
  if ((first & 0x80) === 0) return octal(field);
  const isNegative = (first & 0x40) !== 0;
  let value = BigInt(isNegative ? first | -0x100 : first & 0x3f);
  for (const byte of field.subarray(1)) value = value * 256n + BigInt(byte);
  return value;
}

function octal(field: Uint8Array): bigint | undefined {
  const text = Buffer.from(field).toString("latin1");
  const digits = /^[ \0]*([0-7]*)[ \0]*$/.exec(text)?.[1];
  if (digits === undefined) return undefined;
  return digits === "" ? 0n : BigInt(`0o${digits}`);
}
