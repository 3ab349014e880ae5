import type { ByteReader, MemoryPart } from "@sluice/streams";
import type { Damage } from "./damage.ts";
import { type Limits, overLimit } from "./limits.ts";
import { takeWhole } from "./next-frame.ts";

const MAX_BLOCK_BYTES = 128 * 1024;
const RLE_BLOCK = 1;
const RESERVED_BLOCK = 3;
/** Blocks are given to the engine together up to about this many bytes: each call costs a thread's turn. */
const BATCH_BYTES = 64 * 1024;

const DICTIONARY_ID_BYTES = [0, 1, 2, 4];
const CONTENT_SIZE_BYTES = [0, 2, 4, 8];

/**
 * Walks through one zstd frame whose magic number was read (RFC 8878, 3.1.1), and gives its bytes,
 * the magic's included, in batches of whole blocks. So the frame's end is known without the engine,
 * and what the header claims is judged before the engine sees it and can allocate.
 */
export async function* zstdFrame(
  reader: ByteReader,
  magic: Buffer,
  limits: Limits,
  { damage, memory }: { readonly damage: Damage; readonly memory: MemoryPart },
): AsyncGenerator<Uint8Array> {
  const { header, hasChecksum, windowBytes } = await readFrameHeader(reader, limits, damage);
  await memory.hold(windowBytes);
  let batch: Buffer[] = [magic, header];
  let size = 0;
  for (let isLast = false; !isLast; ) {
    const head = await takeWhole(reader, 3, damage, "between two blocks of a frame");
    const facts = head.readUIntLE(0, 3);
    isLast = (facts & 1) === 1;
    const type = (facts >> 1) & 3;
    const declared = facts >> 3;
    if (type === RESERVED_BLOCK) throw damage.corrupt("A zstd block has the reserved type.");
    if (declared > MAX_BLOCK_BYTES) throw damage.corrupt("A zstd block is larger than 128 KiB.");
    const length = type === RLE_BLOCK ? 1 : declared;
    batch.push(head, await takeWhole(reader, length, damage, "inside a block"));
    size += 3 + length;
    if (size >= BATCH_BYTES) {
      yield Buffer.concat(batch);
      batch = [];
      size = 0;
    }
  }
  if (hasChecksum) batch.push(await takeWhole(reader, 4, damage, "inside a frame's checksum"));
  if (batch.length > 0) yield Buffer.concat(batch);
}

async function readFrameHeader(
  reader: ByteReader,
  limits: Limits,
  damage: Damage,
): Promise<{ header: Buffer; hasChecksum: boolean; windowBytes: number }> {
  const take = (length: number): Promise<Buffer> =>
    takeWhole(reader, length, damage, "inside a frame's header");
  const descriptor = await take(1);
  const flags = descriptor.readUInt8(0);
  if ((flags & 0x08) !== 0) throw damage.corrupt("A zstd frame's header has its reserved bit set.");
  const isSingleSegment = (flags & 0x20) !== 0;
  const window = await take(isSingleSegment ? 0 : 1);
  const dictionaryId = await take(DICTIONARY_ID_BYTES[flags & 3] ?? 0);
  const sizeFlag = flags >> 6;
  const contentSize = await take(
    sizeFlag === 0 && isSingleSegment ? 1 : (CONTENT_SIZE_BYTES[sizeFlag] ?? 0),
  );
  if (dictionaryId.some((byte) => byte !== 0)) {
    throw damage.unsupported(
      "A zstd frame needs a dictionary that is not in the file.",
      "a dictionary id",
      "no dictionary",
    );
  }
  // A single segment is its own window: the whole content at once.
  const windowBytes = isSingleSegment ? toSize(contentSize) : toWindow(window.readUInt8(0));
  if (windowBytes > limits.maxZstdWindowBytes) {
    const subject = `A zstd frame wants a window of ${windowBytes} bytes, more than`;
    throw overLimit("zstd", reader.offset, subject, "maxZstdWindowBytes", limits);
  }
  return {
    header: Buffer.concat([descriptor, window, dictionaryId, contentSize]),
    windowBytes,
    hasChecksum: (flags & 0x04) !== 0,
  };
}

function toWindow(descriptor: number): number {
  const base = 2 ** (10 + (descriptor >> 3));
  return base + (base / 8) * (descriptor & 7);
}

function toSize(field: Buffer): number {
  if (field.byteLength === 8) return Number(field.readBigUInt64LE(0));
  const value = field.readUIntLE(0, field.byteLength);
  return field.byteLength === 2 ? value + 256 : value;
}
