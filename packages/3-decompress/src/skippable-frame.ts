import type { ByteReader } from "@sluice/streams";
import type { Damage } from "./damage.ts";
import { skipBytes, takeWhole } from "./next-frame.ts";

/** zstd and lz4 share them: 16 magic numbers, then the length of what no decoder reads (RFC 8878, 3.1.2). */
export const isSkippableMagic = (magic: number): boolean => magic >>> 4 === 0x184d2a5;

/** Passes over a skippable frame whose magic number was read; gives its length, the magic left out. */
export async function skipFrame(reader: ByteReader, damage: Damage): Promise<number> {
  const length = (await takeWhole(reader, 4, damage, "inside a skippable frame")).readUInt32LE(0);
  await skipBytes(reader, length, damage, "inside a skippable frame");
  return 4 + length;
}
