import type { ByteReader } from "@sluice/streams";
import type { Damage } from "./damage.ts";
import { takeWhole } from "./next-frame.ts";

export interface Lz4FrameHeader {
  /** Whether matches reach into the blocks before. */
  readonly hasLinkedBlocks: boolean;
  readonly hasBlockChecksums: boolean;
  readonly hasContentChecksum: boolean;
  readonly contentBytes: bigint | undefined;
  /** 64 KiB, 256 KiB, 1 MiB or 4 MiB. */
  readonly maxBlockBytes: number;
}

/** Reads a frame's descriptor, which follows its magic number. */
export async function readLz4FrameHeader(
  reader: ByteReader,
  xxh32: (bytes: Uint8Array) => number,
  damage: Damage,
): Promise<Lz4FrameHeader> {
  const where = "inside a frame's header";
  const start = await takeWhole(reader, 2, damage, where);
  const flags = start.readUInt8(0);
  const blocks = start.readUInt8(1);
  const hasContentSize = (flags & 0x08) !== 0;
  const hasDictionary = (flags & 0x01) !== 0;
  const length = (hasContentSize ? 8 : 0) + (hasDictionary ? 4 : 0);
  const rest = await takeWhole(reader, length + 1, damage, where);
  const descriptor = Buffer.concat([start, rest.subarray(0, length)]);
  if (((xxh32(descriptor) >>> 8) & 0xff) !== rest[length]) {
    throw damage.mismatch("An lz4 frame's header does not match its checksum.");
  }
  if (flags >> 6 !== 1) {
    throw damage.unsupported("An lz4 frame is of another version.", `${flags >> 6}`, "1");
  }
  const sizeCode = (blocks >> 4) & 7;
  if ((flags & 0x02) !== 0 || (blocks & 0x8f) !== 0 || sizeCode < 4) {
    throw damage.corrupt("An lz4 frame's header has reserved values.");
  }
  if (hasDictionary) {
    throw damage.unsupported(
      "An lz4 frame needs a dictionary that is not in the file.",
      "a dictionary id",
      "no dictionary",
    );
  }
  return {
    hasLinkedBlocks: (flags & 0x20) === 0,
    hasBlockChecksums: (flags & 0x10) !== 0,
    hasContentChecksum: (flags & 0x04) !== 0,
    contentBytes: hasContentSize ? rest.readBigUInt64LE(0) : undefined,
    maxBlockBytes: 2 ** (8 + 2 * sizeCode),
  };
}
