import { damageOf } from "../damage.ts";
import type { ZipRecord } from "./directory-record.ts";
import { parseExtraFields, UNICODE_PATH_FIELD, withZip64, ZIP64_FIELD } from "./extra-fields.ts";
import { LOCAL_HEADER_BYTES } from "./layout.ts";
import type { RangeCursor } from "./range-cursor.ts";

const LOCAL_SIGNATURE = 0x04034b50;
const DESCRIPTOR_SIGNATURE = 0x08074b50;
const FULL_32 = 0xffffffff;

/** Sizes and CRC-32 stand behind the data. */
const DESCRIPTOR_FLAG = 0x0008;
/** Encrypted, descriptor, patched, strongly encrypted, UTF-8, masked header: what changes how an entry is read. */
const READING_FLAGS = 0x2869;

/**
 * Reads an entry's local header (APPNOTE.TXT 4.3.7), gives the offset of its data, and throws `corrupt` where
 * the header and the directory disagree: readers that go through a zip from its start believe this one.
 */
export async function readLocalHeader(
  cursor: RangeCursor,
  record: ZipRecord,
  next: number,
): Promise<number> {
  const { localOffset } = record;
  const damage = damageOf("zip", () => localOffset);
  const disagree = (what: string): Error =>
    damage.corrupt(`An entry's local header and the central directory disagree about its ${what}.`);

  const head = await cursor.take(localOffset, LOCAL_HEADER_BYTES);
  if (head.readUInt32LE(0) !== LOCAL_SIGNATURE) {
    throw damage.corrupt("No local header is where the central directory says.");
  }
  const nameLength = head.readUInt16LE(26);
  const extraLength = head.readUInt16LE(28);
  const dataStart = localOffset + LOCAL_HEADER_BYTES + nameLength + extraLength;
  if (nameLength !== record.rawName.byteLength) throw disagree("name");
  if (dataStart + record.compressedSize > next) {
    throw damage.corrupt("An entry's local header runs into its neighbour.");
  }
  const rest = await cursor.take(localOffset + LOCAL_HEADER_BYTES, nameLength + extraLength);
  if (!rest.subarray(0, nameLength).equals(record.rawName)) throw disagree("name");

  const flags = head.readUInt16LE(6);
  if ((flags & READING_FLAGS) !== (record.flags & READING_FLAGS)) throw disagree("flags");
  if (head.readUInt16LE(8) !== record.method) throw disagree("method");

  const extras = parseExtraFields(rest.subarray(nameLength), damage);
  const unicodePath = extras.get(UNICODE_PATH_FIELD);
  if (unicodePath !== undefined && !isEqual(unicodePath, record.unicodePath)) {
    throw disagree("name");
  }
  const isLater = (flags & DESCRIPTOR_FLAG) !== 0;
  const crc = head.readUInt32LE(14);
  if (crc !== record.crc && !(isLater && crc === 0)) throw disagree("CRC-32");
  const given = { compressedSize: head.readUInt32LE(18), size: head.readUInt32LE(22), offset: 0 };
  const { compressedSize, size } = withZip64(given, extras.get(ZIP64_FIELD), damage);
  const isSize = (said: number, known: number): boolean =>
    said === known || (isLater && (said === 0 || said === FULL_32));
  if (!isSize(compressedSize, record.compressedSize) || !isSize(size, record.size)) {
    throw disagree("sizes");
  }
  return dataStart;
}

const isEqual = (a: Buffer, b: Buffer | undefined): boolean => b !== undefined && a.equals(b);

/**
 * Reads what stands between an entry's data and `next`, where the next entry or the directory begins: nothing,
 * or a data descriptor (4.3.9), whose length tells whether it has a signature and 64-bit sizes.
 */
export async function assertEntryEnd(
  cursor: RangeCursor,
  record: ZipRecord,
  dataEnd: number,
  next: number,
): Promise<void> {
  const damage = damageOf("zip", () => dataEnd);
  const length = next - dataEnd;
  const isLater = (record.flags & DESCRIPTOR_FLAG) !== 0;
  // Some writers promise a descriptor for folders too, and leave it out.
  const isEmpty = record.compressedSize === 0 && record.size === 0;
  if (length === 0 && (!isLater || isEmpty)) return;
  if (!isLater || ![12, 16, 20, 24].includes(length)) {
    throw damage.corrupt("Bytes that belong to no entry stand behind an entry's data.");
  }
  const bytes = await cursor.take(dataEnd, length);
  const isSigned = length === 16 || length === 24;
  const isLong = length >= 20;
  const values = bytes.subarray(isSigned ? 4 : 0);
  const number = (i: number): bigint =>
    isLong ? values.readBigUInt64LE(4 + 8 * i) : BigInt(values.readUInt32LE(4 + 4 * i));
  if (
    (isSigned && bytes.readUInt32LE(0) !== DESCRIPTOR_SIGNATURE) ||
    values.readUInt32LE(0) !== record.crc ||
    number(0) !== BigInt(record.compressedSize) ||
    number(1) !== BigInt(record.size)
  ) {
    throw damage.corrupt("An entry's data descriptor and the central directory disagree.");
  }
}
