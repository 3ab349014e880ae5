import { createByteReader } from "@sluice/streams";
import createHashes from "xxhash-wasm";
import { type Damage, damageOf } from "./damage.ts";
import { createMeter, type Limits } from "./limits.ts";
import { decodeLz4Block } from "./lz4-block.ts";
import { readLz4FrameHeader } from "./lz4-frame-header.ts";
import { hasNextFrame, takeWhole } from "./next-frame.ts";
import { isSkippableMagic, skipFrame } from "./skippable-frame.ts";

const LZ4_MAGIC = 0x184d2204;
const LEGACY_MAGIC = 0x184c2102;
/** How far back a match may reach. */
const HISTORY_BYTES = 64 * 1024;
const IS_STORED = 0x8000_0000;

const hashes = createHashes();

/**
 * Opens LZ4's frame format (1.6.4): all frames, one after the other, then zero bytes at most. Checks the
 * headers' checksums, and those of blocks and content where a frame has them; a frame without the
 * latter is believed as it decodes. A file cut between two frames looks whole.
 */
export async function* unlz4(
  source: AsyncIterable<Uint8Array>,
  limits: Limits,
): AsyncGenerator<Uint8Array> {
  const reader = createByteReader(source);
  const damage = damageOf("lz4", () => reader.offset);
  const meter = createMeter("lz4", limits);
  const { create32, h32Raw } = await hashes;
  let window = Buffer.alloc(0);
  const take = (length: number, where: string): Promise<Buffer> =>
    takeWhole(reader, length, damage, where);
  try {
    do {
      const magic = (await take(4, "inside a frame's magic number")).readUInt32LE(0);
      if (isSkippableMagic(magic)) await skipFrame(reader, damage);
      else {
        assertLz4Frame(magic, damage);
        yield* frame();
      }
      meter.endFrame(reader.offset);
    } while (await hasNextFrame(reader, damage, mayBeginFrame));
  } finally {
    await reader.close();
  }

  async function* frame(): AsyncGenerator<Uint8Array> {
    const header = await readLz4FrameHeader(reader, h32Raw, damage);
    // The window is kept from frame to frame. None reads what another wrote: matches end at its history.
    const size = HISTORY_BYTES + header.maxBlockBytes;
    if (window.byteLength !== size) window = Buffer.allocUnsafe(size);
    const content = header.hasContentChecksum ? create32() : undefined;
    let history = 0;
    let total = 0;
    for (;;) {
      const head = (await take(4, "between two blocks of a frame")).readUInt32LE(0);
      if (head === 0) break;
      const length = head % IS_STORED;
      if (length > header.maxBlockBytes) {
        throw damage.corrupt("An lz4 block is larger than its frame's header allows.");
      }
      const block = await take(length, "inside a block");
      if (header.hasBlockChecksums) {
        const checksum = (await take(4, "inside a block's checksum")).readUInt32LE(0);
        if (h32Raw(block) !== checksum) {
          throw damage.mismatch("An lz4 block does not match its checksum.");
        }
      }
      let output: Buffer = block;
      if (head < IS_STORED) {
        const end = decodeLz4Block(block, window, HISTORY_BYTES, HISTORY_BYTES - history);
        if (end === undefined) throw damage.corrupt("An lz4 block is damaged.");
        // The window is used again for the next block.
        output = Buffer.from(window.subarray(HISTORY_BYTES, end));
      }
      if (header.hasLinkedBlocks) {
        const kept = output.subarray(-HISTORY_BYTES);
        window.copyWithin(0, kept.byteLength, HISTORY_BYTES);
        window.set(kept, HISTORY_BYTES - kept.byteLength);
        history = Math.min(HISTORY_BYTES, history + kept.byteLength);
      }
      content?.update(output);
      total += output.byteLength;
      meter.count(output.byteLength, reader.offset);
      if (output.byteLength > 0) yield output;
    }
    if (header.contentBytes !== undefined && header.contentBytes !== BigInt(total)) {
      throw damage.corrupt("The content of an lz4 frame has not the length that its header says.");
    }
    if (content !== undefined) {
      const checksum = (await take(4, "inside a frame's checksum")).readUInt32LE(0);
      if (content.digest() !== checksum) {
        throw damage.mismatch("The content of an lz4 frame does not match its checksum.");
      }
    }
  }
}

/** The first byte of a frame's, a legacy frame's or a skippable frame's magic number. */
const mayBeginFrame = (byte: number): boolean => byte === 4 || byte === 2 || byte >> 4 === 5;

function assertLz4Frame(magic: number, damage: Damage): void {
  if (magic === LEGACY_MAGIC) {
    throw damage.unsupported("The lz4 frame is of the legacy format.", "lz4 legacy", "lz4");
  }
  if (magic !== LZ4_MAGIC) {
    throw damage.corrupt("Bytes that are no lz4 frame follow a complete frame.");
  }
}
