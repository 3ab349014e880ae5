/** A zip that can be read at random: spooled to disk, or lying plainly in S3. */
export interface ZipFile {
  /** Bytes. */
  readonly size: number;
  /** The bytes from `start` up to and without `end`. */
  readRange(start: number, end: number, signal?: AbortSignal): AsyncIterable<Uint8Array>;
}

/** A stretch of a file's bytes in memory. */
export interface Stretch {
  /** Where it starts in the file. */
  readonly start: number;
  readonly bytes: Buffer;
}

/** Reads a range into memory. The caller bounds it; fewer bytes than asked for is an error of `onShort`. */
export async function readStretch(
  file: ZipFile,
  start: number,
  end: number,
  onShort: () => Error,
): Promise<Stretch> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of file.readRange(start, end)) {
    parts.push(part);
    length += part.byteLength;
    if (length > end - start) break;
  }
  if (length !== end - start) throw onShort();
  return { start, bytes: Buffer.concat(parts) };
}
