import { StageError } from "@sluice/errors";
import { type ArchiveLimits, overArchiveLimit } from "../archive-options.ts";
import { type Damage, damageOf } from "../damage.ts";
import { readUint64 } from "./extra-fields.ts";
import type { Stretch } from "./zip-file.ts";

/** Where the central directory lies. */
export interface DirectoryPlace {
  readonly start: number;
  readonly end: number;
  /** Where the end record ends and its comment begins. */
  readonly commentStart: number;
  /** How many entries it says it has. */
  readonly entries: number;
}

const END_BYTES = 22;
const LOCATOR_BYTES = 20;
const END64_BYTES = 56;
const END_SIGNATURE = Buffer.from([0x50, 0x4b, 5, 6]);
const LOCATOR_SIGNATURE = 0x07064b50;
const END64_SIGNATURE = 0x06064b50;
const FULL_16 = 0xffff;
const FULL_32 = 0xffffffff;

/** Bytes from the end of a file in which the end records lie, the longest comment included. */
export const TAIL_BYTES: number = 128 * 1024;

/**
 * Finds the central directory by the end record (APPNOTE.TXT 4.3.16) and, in a large zip, by the zip64 end
 * record and its locator (4.3.14, 4.3.15). What the records say of the same thing must be equal, and they
 * must lie without a gap from the directory to the file's end: readers differ in which record they believe
 * and in how they forgive gaps. Undefined when there is no end record.
 */
export function findDirectory(tail: Stretch, limits: ArchiveLimits): DirectoryPlace | undefined {
  const { bytes } = tail;
  const at = bytes.lastIndexOf(END_SIGNATURE, bytes.byteLength - END_BYTES);
  if (at === -1 || bytes.byteLength < END_BYTES) return undefined;
  const offset = tail.start + at;
  const damage = damageOf("zip", () => offset);
  assertComment(bytes, at, damage);

  const end = {
    disk: bytes.readUInt16LE(at + 4),
    directoryDisk: bytes.readUInt16LE(at + 6),
    diskEntries: bytes.readUInt16LE(at + 8),
    entries: bytes.readUInt16LE(at + 10),
    size: bytes.readUInt32LE(at + 12),
    start: bytes.readUInt32LE(at + 16),
  };
  const end64 = readEnd64(tail, at, damage);
  if (end64 !== undefined) {
    const isSaid = (short: number, full: number, long: number): boolean =>
      short === full || short === long;
    if (
      !isSaid(end.disk, FULL_16, end64.disk) ||
      !isSaid(end.directoryDisk, FULL_16, end64.directoryDisk) ||
      !isSaid(end.diskEntries, FULL_16, end64.diskEntries) ||
      !isSaid(end.entries, FULL_16, end64.entries) ||
      !isSaid(end.size, FULL_32, end64.size) ||
      !isSaid(end.start, FULL_32, end64.start)
    ) {
      throw damage.corrupt("The end record and the zip64 end record disagree.");
    }
  }
  const { disk, directoryDisk, diskEntries, entries, size, start } = end64 ?? end;
  if (disk !== 0 || directoryDisk !== 0 || diskEntries !== entries) {
    throw damage.unsupported(
      "The zip is one part of several. Join the parts to one zip.",
      `part ${disk + 1}`,
      "a zip in one file",
    );
  }
  if (entries > limits.maxEntries) {
    throw overArchiveLimit("zip", offset, "It holds more entries than", "maxEntries", limits);
  }
  if (size > limits.maxDirectoryBytes) {
    const subject = "Its central directory has more bytes than";
    throw overArchiveLimit("zip", offset, subject, "maxDirectoryBytes", limits);
  }
  const recordsStart = end64?.offset ?? offset;
  if (start + size !== recordsStart) {
    throw damage.corrupt(
      "The central directory does not end where the end record begins: bytes lie before, between or in place of them.",
    );
  }
  return { start, end: start + size, commentStart: offset + END_BYTES, entries };
}

/** A comment of another length than it says means trailing bytes, a cut file, or a second end record. */
function assertComment(bytes: Buffer, at: number, damage: Damage): void {
  const declared = bytes.readUInt16LE(at + 20);
  const found = bytes.byteLength - at - END_BYTES;
  if (declared > found) throw damage.truncated("inside its comment");
  if (declared < found) {
    throw damage.corrupt(
      `The end record's comment has ${declared} bytes, and ${found} bytes follow: something else stands behind the zip or in its comment.`,
    );
  }
}

interface End64 {
  readonly offset: number;
  readonly disk: number;
  readonly directoryDisk: number;
  readonly diskEntries: number;
  readonly entries: number;
  readonly size: number;
  readonly start: number;
}

function readEnd64({ start, bytes }: Stretch, endAt: number, damage: Damage): End64 | undefined {
  const locatorAt = endAt - LOCATOR_BYTES;
  if (locatorAt < 0 || bytes.readUInt32LE(locatorAt) !== LOCATOR_SIGNATURE) return undefined;
  const offset = readUint64(bytes, locatorAt + 8, damage);
  const at = offset - start;
  if (at < 0 || at + END64_BYTES > locatorAt || bytes.readUInt32LE(at) !== END64_SIGNATURE) {
    throw damage.corrupt("The zip64 end record is not where its locator says.");
  }
  // Its own length leaves out its first 12 bytes.
  if (at + 12 + readUint64(bytes, at + 4, damage) !== locatorAt) {
    throw damage.corrupt("The zip64 end record does not end where its locator begins.");
  }
  const disk = bytes.readUInt32LE(at + 16);
  const locatorDisk = bytes.readUInt32LE(locatorAt + 4);
  const disks = bytes.readUInt32LE(locatorAt + 16);
  if (locatorDisk !== disk || disks > disk + 1) {
    throw damage.unsupported(
      "The zip is one part of several. Join the parts to one zip.",
      `${disks} parts`,
      "a zip in one file",
    );
  }
  return {
    offset,
    disk,
    directoryDisk: bytes.readUInt32LE(at + 20),
    diskEntries: readUint64(bytes, at + 24, damage),
    entries: readUint64(bytes, at + 32, damage),
    size: readUint64(bytes, at + 40, damage),
    start: readUint64(bytes, at + 48, damage),
  };
}

/** The error for a file without an end record: a cut zip, or no zip at all. */
export function noEndRecord(fileSize: number, seen: string): StageError {
  const layers = [{ kind: "zip", offset: fileSize }];
  if (seen === "zip") {
    const message = "The zip container ends before its end record.";
    return new StageError("decompress", "truncated", message, { layers });
  }
  return new StageError("decompress", "not_this_container", `The bytes are no zip: ${seen}.`, {
    layers,
    seen,
    expected: "zip",
  });
}
