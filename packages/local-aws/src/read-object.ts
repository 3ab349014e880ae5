import { type FileHandle, open } from "node:fs/promises";
import type { ByteRange } from "./byte-range.ts";
import type { ObjectLease } from "./object-store.ts";

/** Bytes of one read of a data file. */
const READ_BYTES = 1024 ** 2;

/**
 * Reads a range of a version in pieces of at most 1 MiB. Each piece lies in one of two buffers in turn: it is good
 * until the next but one is asked for.
 */
export async function* readObject(lease: ObjectLease, range: ByteRange): AsyncIterable<Buffer> {
  const size = Math.min(READ_BYTES, range.length);
  const buffers: [Buffer, Buffer] = [Buffer.allocUnsafeSlow(size), Buffer.allocUnsafeSlow(size)];
  let turn: 0 | 1 = 0;
  let skip = range.start;
  let left = range.length;
  for (const segment of lease.object.segments) {
    if (left === 0) return;
    if (skip >= segment.size) {
      skip -= segment.size;
      continue;
    }
    const handle = await open(lease.path(segment), "r");
    try {
      let position = skip;
      const end = Math.min(segment.size, skip + left);
      while (position < end) {
        const bytes = await read(handle, buffers[turn], position, Math.min(size, end - position));
        turn = turn === 0 ? 1 : 0;
        position += bytes.length;
        left -= bytes.length;
        yield bytes;
      }
    } finally {
      await handle.close();
    }
    skip = 0;
  }
}

async function read(
  handle: FileHandle,
  buffer: Buffer,
  position: number,
  length: number,
): Promise<Buffer> {
  const { bytesRead } = await handle.read(buffer, 0, length, position);
  if (bytesRead === 0) throw new Error("a data file is shorter than its object says");
  return buffer.subarray(0, bytesRead);
}
