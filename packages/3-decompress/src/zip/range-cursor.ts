import { damageOf } from "../damage.ts";
import type { ZipFile } from "./zip-file.ts";

/** Reads a file forward, and jumps: over a little by reading it, over much by another range. */
export interface RangeCursor {
  /** The next bytes from `position` on, at least one and none at or behind `end`. */
  read(position: number, end: number): Promise<Uint8Array>;
  /** All bytes of a range. The caller bounds it. */
  take(position: number, length: number): Promise<Buffer>;
  close(): Promise<void>;
}

/** Up to this many bytes are read and dropped to get on: a new request costs a round trip. */
export const READ_THROUGH_BYTES: number = 2 ** 20;

/** Creates a cursor. `rangeEnd` tells up to where it is worth asking for, from a position on. */
export function createRangeCursor(
  file: ZipFile,
  rangeEnd: (position: number) => number,
): RangeCursor {
  let iterator: AsyncIterator<Uint8Array> | undefined;
  let position = 0;
  let end = 0;
  let held: Uint8Array = new Uint8Array(0);

  const close = async (): Promise<void> => {
    const closing = iterator;
    iterator = undefined;
    held = new Uint8Array(0);
    await closing?.return?.();
  };

  /** Makes `held` not empty. */
  const pull = async (): Promise<void> => {
    while (held.byteLength === 0) {
      if (iterator === undefined || position >= end) {
        await close();
        end = rangeEnd(position);
        iterator = file.readRange(position, end)[Symbol.asyncIterator]();
      }
      const next = await iterator.next();
      if (next.done)
        throw damageOf("zip", () => position).truncated("inside a range that was read");
      held = next.value.subarray(0, end - position);
    }
  };

  const advance = (length: number): Uint8Array => {
    const part = held.subarray(0, length);
    held = held.subarray(part.byteLength);
    position += part.byteLength;
    return part;
  };

  const seek = async (target: number): Promise<void> => {
    const isNear = target >= position && target - position <= READ_THROUGH_BYTES && target <= end;
    if (!isNear) {
      await close();
      position = target;
      end = target;
    }
    while (position < target) {
      await pull();
      advance(target - position);
    }
  };

  const read = async (from: number, to: number): Promise<Uint8Array> => {
    await seek(from);
    await pull();
    return advance(to - from);
  };

  return {
    read,
    async take(from, length) {
      const bytes = Buffer.allocUnsafe(length);
      for (let at = 0; at < length; ) {
        const part = await read(from + at, from + length);
        bytes.set(part, at);
        at += part.byteLength;
      }
      return bytes;
    },
    close,
  };
}
