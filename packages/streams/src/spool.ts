import { createReadStream, createWriteStream } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { type LimitError, maxBytes } from "./max-bytes.ts";

/** A stream that was put on disk so that it can be read at random. */
export interface Spool {
  /** Bytes. */
  readonly size: number;
  /** The bytes from `start` up to and without `end`. */
  readRange(start: number, end: number, signal?: AbortSignal): AsyncIterable<Uint8Array>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface SpoolOptions {
  /** The folder in which a folder of its own is made for this spool. */
  readonly directory: string;
  /** Bytes on disk, above which spooling stops with `toError`. */
  readonly maxSpoolBytes: number;
  readonly toError: LimitError;
  readonly signal?: AbortSignal;
}

/** Writes the whole stream to disk, readable by this user alone. Disposing removes it. */
export async function spool(
  source: AsyncIterable<Uint8Array>,
  { directory, maxSpoolBytes, toError, signal }: SpoolOptions,
): Promise<Spool> {
  const folder = await mkdtemp(join(directory, "sluice-spool-"));
  const path = join(folder, "stream");
  let size = 0;
  async function* counted(): AsyncGenerator<Uint8Array> {
    for await (const chunk of maxBytes(maxSpoolBytes, "maxSpoolBytes", toError)(source)) {
      size += chunk.byteLength;
      yield chunk;
    }
  }
  try {
    await pipeline(counted, createWriteStream(path, { mode: 0o600 }), {
      ...(signal && { signal }),
    });
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
  return {
    size,
    async *readRange(start, end, rangeSignal) {
      if (start >= end) return;
      yield* createReadStream(path, {
        start,
        end: end - 1,
        highWaterMark: 256 * 1024,
        ...(rangeSignal && { signal: rangeSignal }),
      });
    },
    async [Symbol.asyncDispose]() {
      await rm(folder, { recursive: true, force: true });
    },
  };
}
