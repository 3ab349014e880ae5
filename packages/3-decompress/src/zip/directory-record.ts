import { damageOf } from "../damage.ts";
import {
  AES_FIELD,
  parseExtraFields,
  UNICODE_PATH_FIELD,
  withZip64,
  ZIP64_FIELD,
} from "./extra-fields.ts";
import type { Stretch } from "./zip-file.ts";

/** One entry as the central directory has it (APPNOTE.TXT 4.3.12), zip64 already resolved. */
export interface ZipRecord {
  /** Where the record lies in the file. */
  readonly offset: number;
  /** The upper byte of "version made by" (4.4.2): the system of the writer. */
  readonly host: number;
  readonly flags: number;
  readonly method: number;
  readonly crc: number;
  readonly compressedSize: number;
  readonly size: number;
  /** Where the entry's local header lies. */
  readonly localOffset: number;
  readonly externalAttributes: number;
  readonly rawName: Buffer;
  readonly unicodePath: Buffer | undefined;
  readonly isAes: boolean;
}

const RECORD_BYTES = 46;
const RECORD_SIGNATURE = 0x02014b50;

/** Reads the directory's records, which must be as many as it says and fill it to its last byte. */
export function parseDirectory({ start, bytes }: Stretch, entries: number): ZipRecord[] {
  const records: ZipRecord[] = [];
  let at = 0;
  while (records.length < entries) {
    const offset = start + at;
    const damage = damageOf("zip", () => offset);
    if (bytes.byteLength - at < RECORD_BYTES || bytes.readUInt32LE(at) !== RECORD_SIGNATURE) {
      throw damage.corrupt(
        `The central directory has ${records.length} entries, not ${entries} as the end record says.`,
      );
    }
    const nameEnd = at + RECORD_BYTES + bytes.readUInt16LE(at + 28);
    const extraEnd = nameEnd + bytes.readUInt16LE(at + 30);
    const end = extraEnd + bytes.readUInt16LE(at + 32);
    if (end > bytes.byteLength) {
      throw damage.corrupt("A record is longer than the central directory.");
    }
    const extras = parseExtraFields(bytes.subarray(nameEnd, extraEnd), damage);
    const zip64 = extras.get(ZIP64_FIELD);
    const numbers = withZip64(
      {
        size: bytes.readUInt32LE(at + 24),
        compressedSize: bytes.readUInt32LE(at + 20),
        offset: bytes.readUInt32LE(at + 42),
      },
      zip64,
      damage,
    );
    const disk = bytes.readUInt16LE(at + 34);
    // The zip64 field ends with the 32-bit number of the part, if the record has no room for it.
    const longDisk =
      zip64 !== undefined && zip64.byteLength % 8 === 4
        ? zip64.readUInt32LE(zip64.byteLength - 4)
        : disk;
    if (disk !== 0 && (disk !== 0xffff || longDisk !== 0)) {
      throw damage.unsupported(
        "An entry lies in another part of the zip. Join the parts to one zip.",
        `part ${disk + 1}`,
        "a zip in one file",
      );
    }
    records.push({
      offset,
      host: bytes.readUInt8(at + 5),
      flags: bytes.readUInt16LE(at + 8),
      method: bytes.readUInt16LE(at + 10),
      crc: bytes.readUInt32LE(at + 16),
      size: numbers.size,
      compressedSize: numbers.compressedSize,
      localOffset: numbers.offset,
      externalAttributes: bytes.readUInt32LE(at + 38),
      rawName: Buffer.from(bytes.subarray(at + RECORD_BYTES, nameEnd)),
      unicodePath: copied(extras.get(UNICODE_PATH_FIELD)),
      isAes: extras.has(AES_FIELD),
    });
    at = end;
  }
  if (at !== bytes.byteLength) {
    throw damageOf("zip", () => start + at).corrupt(
      `The central directory goes on behind its ${entries} entries.`,
    );
  }
  return records;
}

/** A copy: a view would keep the whole directory in memory while the entries are read. */
const copied = (bytes: Buffer | undefined): Buffer | undefined =>
  bytes === undefined ? undefined : Buffer.from(bytes);
