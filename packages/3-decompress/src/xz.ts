import { crc32 } from "node:zlib";
import { type ByteReader, createByteReader, type MemoryPart } from "@sluice/streams";
import { type Damage, damageOf } from "./damage.ts";
import { createMeter, type Limits } from "./limits.ts";
import { unlzma2 } from "./lzma2.ts";
import { takeWhole } from "./next-frame.ts";
import { readXzBlockHeader } from "./xz-block-header.ts";
import { XZ_CHECKS, type XzCheck, xzCheckBytes } from "./xz-check.ts";
import { createXzRecords, readXzIndex, type XzRecords } from "./xz-index.ts";

const HEADER_MAGIC = Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]);
const FOOTER_MAGIC = "YZ";

/**
 * Opens xz (file format 1.2.1): all streams and the padding between them. Checks the CRC-32 of headers,
 * index and footer, the check of each block's content, and that the index names the blocks.
 */
export async function* unxz(
  source: AsyncIterable<Uint8Array>,
  limits: Limits,
  memory: MemoryPart,
): AsyncGenerator<Uint8Array> {
  const reader = createByteReader(source);
  const damage = damageOf("xz", () => reader.offset);
  const meter = createMeter("xz", limits);
  const take = (length: number, where: string): Promise<Buffer> =>
    takeWhole(reader, length, damage, where);
  try {
    do {
      yield* stream();
      meter.endFrame(reader.offset);
    } while (await hasNextStream(reader, damage));
  } finally {
    await reader.close();
  }

  async function* stream(): AsyncGenerator<Uint8Array> {
    const flags = await readStreamHeader(reader, damage);
    const checkType = flags.readUInt8(1);
    const blocks = createXzRecords();
    for (;;) {
      const sizeByte = (await take(1, "between two blocks")).readUInt8(0);
      if (sizeByte === 0) break;
      yield* block(sizeByte, checkType, blocks);
    }
    const indexBytes = await readXzIndex(reader, blocks, damage);
    await readStreamFooter(reader, flags, indexBytes, damage);
  }

  async function* block(
    sizeByte: number,
    checkType: number,
    blocks: XzRecords,
  ): AsyncGenerator<Uint8Array> {
    const header = await readXzBlockHeader(reader, sizeByte, limits, damage);
    const start = reader.offset;
    const check = (XZ_CHECKS.get(checkType) as () => XzCheck)();
    let contentBytes = 0;
    for await (const output of unlzma2(reader, header.dictionaryBytes, damage, memory)) {
      check.update(output);
      contentBytes += output.byteLength;
      meter.count(output.byteLength, reader.offset);
      yield output;
    }
    const compressedBytes = reader.offset - start;
    const areSizesRight =
      (header.compressedBytes ?? compressedBytes) === compressedBytes &&
      (header.contentBytes ?? contentBytes) === contentBytes;
    if (!areSizesRight) {
      throw damage.corrupt("An xz block has not the sizes that its header says.");
    }
    const padding = await take((4 - (compressedBytes % 4)) % 4, "inside a block's padding");
    if (padding.some((byte) => byte !== 0))
      throw damage.corrupt("An xz block's padding is damaged.");
    const digest = await take(xzCheckBytes(checkType), "inside a block's check");
    if (!check.digest().equals(digest)) {
      throw damage.mismatch("The content of an xz block does not match its check.");
    }
    meter.endFrame(reader.offset);
    blocks.add(header.headerBytes + compressedBytes + digest.byteLength, contentBytes);
  }
}

/** Reads a stream's header (2.1.1) and gives its flags; a check that is not known is refused here. */
async function readStreamHeader(reader: ByteReader, damage: Damage): Promise<Buffer> {
  const header = await takeWhole(reader, 12, damage, "inside a stream's header");
  if (!header.subarray(0, 6).equals(HEADER_MAGIC)) {
    throw damage.corrupt("Bytes that are no xz stream follow a complete stream.");
  }
  const flags = header.subarray(6, 8);
  if (crc32(flags) !== header.readUInt32LE(8)) {
    throw damage.mismatch("An xz stream's header does not match its CRC-32.");
  }
  const type = flags.readUInt8(1);
  if (flags[0] !== 0 || !XZ_CHECKS.has(type)) {
    throw damage.unsupported(
      "An xz stream's check cannot be verified.",
      `stream flags ${flags.toString("hex")}`,
      "no check, CRC-32, CRC-64 or SHA-256",
    );
  }
  return flags;
}

/** Reads a stream's footer (2.1.2), which repeats the header's flags and tells the index's length. */
async function readStreamFooter(
  reader: ByteReader,
  flags: Buffer,
  indexBytes: number,
  damage: Damage,
): Promise<void> {
  const footer = await takeWhole(reader, 12, damage, "inside a stream's footer");
  if (crc32(footer.subarray(4, 10)) !== footer.readUInt32LE(0)) {
    throw damage.mismatch("An xz stream's footer does not match its CRC-32.");
  }
  const isRight =
    (footer.readUInt32LE(4) + 1) * 4 === indexBytes &&
    footer.subarray(8, 10).equals(flags) &&
    footer.toString("latin1", 10) === FOOTER_MAGIC;
  if (!isRight) throw damage.corrupt("An xz stream's footer is damaged.");
}

/** Passes over the padding after a stream: zero bytes, always four together (2.2). */
async function hasNextStream(reader: ByteReader, damage: Damage): Promise<boolean> {
  let padding = 0;
  for (let chunk = await reader.chunk(); ; chunk = await reader.chunk()) {
    const at = chunk?.findIndex((byte) => byte !== 0) ?? 0;
    if (chunk !== undefined && at === -1) {
      padding += chunk.byteLength;
      continue;
    }
    if ((padding + at) % 4 !== 0) {
      throw damage.corrupt("The padding after an xz stream is not a multiple of four bytes.");
    }
    if (chunk === undefined) return false;
    reader.putBack(chunk.subarray(at));
    if (chunk[at] !== HEADER_MAGIC[0])
      throw damage.corrupt("Bytes of another kind follow its end.");
    return true;
  }
}
