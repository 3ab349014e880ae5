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

/**
 * Reads a range into memory, in front of what is there already. The caller bounds it; other than the bytes that
 * were asked for is an error of `onShort`.
 */
export async function readStretch(
  file: ZipFile,
  start: number,
  end: number,
  onShort: () => Error,
  behind: Uint8Array = new Uint8Array(0),
): Promise<Stretch> {
  const length = end - start;
  const bytes = Buffer.allocUnsafe(length + behind.byteLength);
  let at = 0;
  for await (const part of file.readRange(start, end)) {
    if (part.byteLength > length - at) throw onShort();
    bytes.set(part, at);
    at += part.byteLength;
  }
  if (at !== length) throw onShort();
  bytes.set(behind, length);
  return { start, bytes };
}
