import { openParquet, type ParquetFile, type ParquetOptions } from "../src/parquet/open-parquet.ts";

/** Opens Parquet bytes in memory, read in small chunks. */
export async function openBytes(
  bytes: Uint8Array,
  options: Partial<ParquetOptions> = {},
): Promise<ParquetFile> {
  return await openParquet({
    size: bytes.length,
    async *readRange(start, end) {
      for (let at = start; at < end; at += 1000) yield bytes.subarray(at, Math.min(end, at + 1000));
    },
    ...options,
  });
}

export async function sliceBytes(file: ParquetFile): Promise<Buffer[]> {
  return await Promise.all(
    file.slices.map(async (slice) => Buffer.concat(await Array.fromAsync(slice.open()))),
  );
}
