import { StageError } from "@sluice/errors";
import { type Spool, spool } from "@sluice/streams";
import type { IngestConfig } from "./config.ts";

/** The disk of one load: what has to be read at random is kept there meanwhile. */
export interface SpoolArea {
  /** Writes the whole stream to disk; over the area's limit it is `decompress.limit_exceeded`. Dispose of it. */
  hold(bytes: AsyncIterable<Uint8Array>): Promise<Spool>;
}

/** An area of `limit`, as the operator knows it: all that is held at one time counts together. */
export function createSpoolArea(
  {
    spoolDir,
    maxSpoolBytes,
    limit = "SLUICE_MAX_SPOOL_MIB",
  }: Pick<IngestConfig, "spoolDir" | "maxSpoolBytes"> & { readonly limit?: string },
  signal: AbortSignal,
): SpoolArea {
  let used = 0;
  return {
    async hold(bytes) {
      const held = await spool(bytes, {
        directory: spoolDir,
        maxSpoolBytes: maxSpoolBytes - used,
        toError: () =>
          new StageError(
            "decompress",
            "limit_exceeded",
            `The file has to be put on disk to be read at random, and is larger than ${limit} = ${maxSpoolBytes / 2 ** 20} allows.`,
          ),
        toDiskError: (cause) =>
          new StageError(
            "decompress",
            "disk_unavailable",
            "The file has to be put on disk to be read at random, and the disk takes nothing more.",
            { cause },
          ),
        signal,
      });
      used += held.size;
      return {
        size: held.size,
        readRange: (start, end, rangeSignal) => held.readRange(start, end, rangeSignal),
        async [Symbol.asyncDispose]() {
          used -= held.size;
          await held[Symbol.asyncDispose]();
        },
      };
    },
  };
}
