import { crc32 } from "node:zlib";
import type { ByteReader } from "@sluice/streams";
import type { Damage } from "./damage.ts";
import { type Limits, overLimit } from "./limits.ts";
import { takeWhole } from "./next-frame.ts";

const HAS_COMPRESSED_SIZE = 0x40;
const HAS_CONTENT_SIZE = 0x80;
const RESERVED = 0x3c;
const LZMA2 = 0x21;
const MAX_SIZE_BYTES = 9;

/** Filters that change executables, or numbers, so that they compress better; no text has them. */
const FILTER_NAMES: ReadonlyMap<number, string> = new Map([
  [0x03, "delta"],
  [0x04, "BCJ x86"],
  [0x05, "BCJ PowerPC"],
  [0x06, "BCJ IA-64"],
  [0x07, "BCJ ARM"],
  [0x08, "BCJ ARM-Thumb"],
  [0x09, "BCJ SPARC"],
  [0x0a, "BCJ ARM64"],
  [0x0b, "BCJ RISC-V"],
]);

export interface XzBlockHeader {
  /** Of this header itself. */
  readonly headerBytes: number;
  readonly compressedBytes: number | undefined;
  readonly contentBytes: number | undefined;
  readonly dictionaryBytes: number;
}

/** Reads a block's header whose first byte, its size, was read and is not zero (xz file format 1.2.1, 3.1). */
export async function readXzBlockHeader(
  reader: ByteReader,
  sizeByte: number,
  limits: Limits,
  damage: Damage,
): Promise<XzBlockHeader> {
  const headerBytes = (sizeByte + 1) * 4;
  const rest = await takeWhole(reader, headerBytes - 1, damage, "inside a block's header");
  const header = Buffer.concat([Buffer.of(sizeByte), rest.subarray(0, -4)]);
  if (crc32(header) !== rest.readUInt32LE(headerBytes - 5)) {
    throw damage.mismatch("An xz block's header does not match its CRC-32.");
  }
  const corrupt = (): Error => damage.corrupt("An xz block's header is damaged.");
  let at = 1;
  const byte = (): number => {
    const value = header[at++];
    if (value === undefined) throw corrupt();
    return value;
  };
  const size = (): number => {
    const value = readXzSize(byte);
    if (value === undefined) throw corrupt();
    return value;
  };
  const flags = byte();
  if ((flags & RESERVED) !== 0) {
    throw damage.unsupported("An xz block's header has reserved flags.", "reserved flags", "none");
  }
  const compressedBytes = (flags & HAS_COMPRESSED_SIZE) === 0 ? undefined : size();
  const contentBytes = (flags & HAS_CONTENT_SIZE) === 0 ? undefined : size();
  if (compressedBytes === 0) throw corrupt();
  for (let filters = (flags & 3) + 1; filters > 0; filters--) {
    const id = size();
    const propertyBytes = size();
    if (id !== LZMA2 || filters > 1) {
      const name = FILTER_NAMES.get(id) ?? `filter ${id}`;
      throw damage.unsupported(`An xz block is filtered by ${name}.`, name, "LZMA2 alone");
    }
    if (propertyBytes !== 1) throw corrupt();
  }
  const code = byte();
  if (code > 40) throw corrupt();
  while (at < header.byteLength) if (byte() !== 0) throw corrupt();

  const dictionaryBytes = code === 40 ? 2 ** 32 - 1 : (2 | (code & 1)) * 2 ** ((code >> 1) + 11);
  if (dictionaryBytes > limits.maxXzDictionaryBytes) {
    const subject = `An xz block wants a dictionary of ${dictionaryBytes} bytes, more than`;
    throw overLimit("xz", reader.offset, subject, "maxXzDictionaryBytes", limits);
  }
  return { headerBytes, compressedBytes, contentBytes, dictionaryBytes };
}

/** A number in bytes of 7 bits, the lowest first (1.2); undefined for one that is too long or padded. */
export function readXzSize(byte: () => number): number | undefined {
  let value = 0;
  for (let i = 0; i < MAX_SIZE_BYTES; i++) {
    const next = byte();
    value += (next & 0x7f) * 2 ** (7 * i);
    if (next < 0x80) return next === 0 && i > 0 ? undefined : value;
  }
  return undefined;
}
