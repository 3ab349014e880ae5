import type { Damage } from "../damage.ts";

/** The extra fields of one header that decide about its entry's name or bytes (APPNOTE.TXT 4.5). */
export const ZIP64_FIELD = 0x0001;
export const UNICODE_PATH_FIELD = 0x7075;
export const AES_FIELD = 0x9901;

const MEANT = [ZIP64_FIELD, UNICODE_PATH_FIELD, AES_FIELD];

/** Reads the fields by their id. A field that decides something may stand there once. */
export function parseExtraFields(bytes: Buffer, damage: Damage): ReadonlyMap<number, Buffer> {
  const fields = new Map<number, Buffer>();
  let at = 0;
  while (bytes.byteLength - at >= 4) {
    const id = bytes.readUInt16LE(at);
    const end = at + 4 + bytes.readUInt16LE(at + 2);
    if (end > bytes.byteLength) {
      throw damage.corrupt("An extra field is longer than the header's room for them.");
    }
    if (MEANT.includes(id)) {
      if (fields.has(id)) throw damage.corrupt("An extra field stands twice in one header.");
      fields.set(id, bytes.subarray(at + 4, end));
    }
    at = end;
  }
  // Tools that align data fill up with less than a field's head.
  if (bytes.subarray(at).some((byte) => byte !== 0)) {
    throw damage.corrupt("Bytes that are no extra field follow a header's extra fields.");
  }
  return fields;
}

/** A 64-bit number. Above 2^53 no real file has it: such a number is a lie. */
export function readUint64(bytes: Buffer, at: number, damage: Damage): number {
  const value = bytes.readBigUInt64LE(at);
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw damage.corrupt("A size or an offset is larger than any file.");
  }
  return Number(value);
}

const FULL_32 = 0xffffffff;

/** Sizes and, in the central directory, the offset of a header. */
export interface HeaderNumbers {
  readonly size: number;
  readonly compressedSize: number;
  readonly offset: number;
}

/**
 * Replaces the numbers that do not fit 32 bits by those of the zip64 field (4.5.3), which has just these, in
 * order. Some writers put in all of them: then they must be what the header says.
 */
export function withZip64(
  given: HeaderNumbers,
  field: Buffer | undefined,
  damage: Damage,
): HeaderNumbers {
  const numbers = [given.size, given.compressedSize, given.offset];
  const needed = numbers.filter((number) => number === FULL_32).length;
  const held = Math.min(Math.floor((field?.byteLength ?? 0) / 8), numbers.length);
  if (held < needed) {
    throw damage.corrupt("A header refers to a zip64 field that has not the number it needs.");
  }
  if (field === undefined) return given;
  const longs = numbers.slice(0, held).map((_, i) => readUint64(field, 8 * i, damage));
  let next = 0;
  const meant = numbers.map((number) => (number === FULL_32 ? (longs[next++] ?? 0) : number));
  if (held > needed && longs.some((long, i) => long !== meant[i])) {
    throw damage.corrupt("A header and its zip64 field disagree.");
  }
  const [size = 0, compressedSize = 0, offset = 0] = meant;
  return { size, compressedSize, offset };
}
