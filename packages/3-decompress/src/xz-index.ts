import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import type { ByteReader } from "@sluice/streams";
import type { Damage } from "./damage.ts";
import { takeWhole } from "./next-frame.ts";
import { readXzSize } from "./xz-block-header.ts";

/** The sizes of blocks, as they were read or as the index says: kept as one hash, however many they are. */
export interface XzRecords {
  readonly count: number;
  add(unpaddedBytes: number, contentBytes: number): void;
  digest(): string;
}

export function createXzRecords(): XzRecords {
  const hash = createHash("sha256");
  let count = 0;
  return {
    get count() {
      return count;
    },
    add(unpaddedBytes, contentBytes) {
      count++;
      hash.update(`${unpaddedBytes} ${contentBytes}\n`);
    },
    digest: () => hash.digest("hex"),
  };
}

/**
 * Reads the index, whose first byte was read, and throws unless it names the blocks that were read
 * (xz file format 1.2.1, 4). Gives its length, that byte included.
 */
export async function readXzIndex(
  reader: ByteReader,
  blocks: XzRecords,
  damage: Damage,
): Promise<number> {
  const start = reader.offset - 1;
  let crc = crc32(Buffer.of(0));
  const byte = async (): Promise<number> => {
    const next = await takeWhole(reader, 1, damage, "inside its index");
    crc = crc32(next, crc);
    return next.readUInt8(0);
  };
  const size = async (): Promise<number> => {
    const bytes = [await byte()];
    while ((bytes.at(-1) ?? 0) >= 0x80 && bytes.length < 9) bytes.push(await byte());
    let at = 0;
    const value = readXzSize(() => bytes[at++] ?? 0x80);
    if (value === undefined) throw damage.corrupt("The xz index is damaged.");
    return value;
  };
  const count = await size();
  const records = createXzRecords();
  // No more is read than there can be: a wrong count is damage already.
  if (count === blocks.count) {
    for (let i = 0; i < count; i++) records.add(await size(), await size());
  }
  if (count !== blocks.count || records.digest() !== blocks.digest()) {
    throw damage.corrupt("The xz index does not name the blocks of its stream.");
  }
  while ((reader.offset - start) % 4 !== 0) {
    if ((await byte()) !== 0) throw damage.corrupt("The xz index is damaged.");
  }
  const wanted = crc;
  if ((await takeWhole(reader, 4, damage, "inside its index")).readUInt32LE(0) !== wanted) {
    throw damage.mismatch("The xz index does not match its CRC-32.");
  }
  return reader.offset - start;
}
