import type { StageError } from "@sluice/errors";
import { createCursor, readLong, setBytes } from "./cursor.ts";
import { malformed, tooLarge } from "./fault.ts";
import { type Header, SYNC_BYTES } from "./header.ts";
import type { Input } from "./input.ts";
import type { AvroLimits } from "./limits.ts";

/** One Avro block as it stands in the file: some records, compressed together. */
export interface DataBlock {
  readonly count: number;
  /** Not to be kept when the next block is read. */
  readonly bytes: Uint8Array;
  /** Where the block starts in the file, with its count. */
  readonly byteOffset: number;
  /** Where `bytes` start in the file. */
  readonly dataOffset: number;
}

/** Two longs. */
const MAX_PREFIX_BYTES = 20;

/**
 * Whether nothing is left but the line end that editors put behind a file's last byte. A line feed could also be the
 * count, 5, of a block of which nothing else is there: behind a whole block it is taken for the end, and told.
 */
function isLineEnd(bytes: Uint8Array): boolean {
  const [first, second] = bytes;
  if (bytes.length === 1) return first === 0x0a;
  return bytes.length === 2 && first === 0x0d && second === 0x0a;
}

/**
 * Reads the next block, its sync marker included; undefined when the file ends behind the last one. A file that
 * was cut exactly there looks complete: nothing in the format says how many blocks there are. A line end
 * behind it is left in the input.
 * Throws `parse.malformed` and `parse.record_too_large`, at the block's first byte.
 */
export async function readDataBlock(
  input: Input,
  { sync }: Header,
  limits: AvroLimits,
  isFirst: boolean,
): Promise<DataBlock | undefined> {
  await input.fill(MAX_PREFIX_BYTES);
  if (input.at === input.end) return undefined;
  if (!isFirst && isLineEnd(input.bytes.subarray(input.at, input.end))) return undefined;
  const byteOffset = input.base + input.at;
  const truncated = (): StageError =>
    malformed("the file ends inside a block", { byteOffset: input.base + input.end });

  const cursor = createCursor();
  setBytes(cursor, input.bytes, input.at, input.end, limits);
  const count = readLong(cursor);
  const size = readLong(cursor);
  if (cursor.at > cursor.end) throw truncated();
  if (!(count >= 0 && size >= 0)) throw malformed("a block with a count or size that is none");
  if (size > limits.maxCompressedBlockBytes) {
    const option = "maxCompressedBlockBytes";
    throw tooLarge("bytes of a block", option, limits.maxCompressedBlockBytes);
  }
  const prefix = cursor.at - input.at;
  const whole = prefix + size + SYNC_BYTES;
  if (!(await input.fill(whole))) throw truncated();

  const { bytes, at } = input;
  for (let i = 0; i < SYNC_BYTES; i++) {
    if (bytes[at + prefix + size + i] === sync[i]) continue;
    throw malformed("a block is not followed by the file's sync marker");
  }
  input.at += whole;
  return {
    count,
    bytes: bytes.subarray(at + prefix, at + prefix + size),
    byteOffset,
    dataOffset: byteOffset + prefix,
  };
}
