import { type FileHandle, mkdtemp, open, rm } from "node:fs/promises";
import { join } from "node:path";
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
  /** The folder that the file is made in. It has no name there: nobody else can open it. */
  readonly directory: string;
  /** Bytes on disk, above which spooling stops with `toError`. */
  readonly maxSpoolBytes: number;
  readonly toError: LimitError;
  /** What a disk's refusal is, one that is full for example. Default: it passes as it is. */
  readonly toDiskError?: (cause: unknown) => Error;
  readonly signal?: AbortSignal;
}

const READ_BYTES = 256 * 1024;

/**
 * Writes the whole stream to disk. The file loses its name before its first byte is written, so that a process that
 * dies leaves nothing behind, least of all what was encrypted. Disposing gives the space back.
 */
export async function spool(
  source: AsyncIterable<Uint8Array>,
  { directory, maxSpoolBytes, toError, toDiskError, signal }: SpoolOptions,
): Promise<Spool> {
  const onDisk = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (cause) {
      throw toDiskError?.(cause) ?? cause;
    }
  };
  let size = 0;
  let file: FileHandle | undefined;
  try {
    for await (const chunk of maxBytes(maxSpoolBytes, "maxSpoolBytes", toError)(source)) {
      signal?.throwIfAborted();
      file ??= await onDisk(openNameless(directory));
      await onDisk(file.writeFile(chunk));
      size += chunk.byteLength;
    }
    signal?.throwIfAborted();
  } catch (error) {
    await file?.close();
    throw error;
  }
  return {
    size,
    async *readRange(start, end, rangeSignal) {
      const last = Math.min(end, size);
      for (let at = start; at < last; ) {
        rangeSignal?.throwIfAborted();
        const buffer = Buffer.allocUnsafeSlow(Math.min(READ_BYTES, last - at));
        const read = await file?.read(buffer, 0, buffer.byteLength, at);
        if (read === undefined || read.bytesRead === 0) throw new Error("the spool is closed");
        at += read.bytesRead;
        yield buffer.subarray(0, read.bytesRead);
      }
    },
    async [Symbol.asyncDispose]() {
      await file?.close();
      file = undefined;
    },
  };
}

async function openNameless(directory: string): Promise<FileHandle> {
  const folder = await mkdtemp(join(directory, "sluice-spool-"));
  try {
    return await open(join(folder, "stream"), "wx+", 0o600);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
