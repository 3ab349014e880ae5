import type { COMPRESSIONS } from "@sluice/schema";
import type { MemoryPart } from "@sluice/streams";
import { unbrotli } from "./brotli.ts";
import { bunzip2 } from "./bzip2.ts";
import { inflateZlib } from "./deflate.ts";
import { gunzip } from "./gzip.ts";
import type { Limits } from "./limits.ts";
import { unlz4 } from "./lz4.ts";
import { unsnappy } from "./snappy.ts";
import { unxz } from "./xz.ts";
import { unzstd } from "./zstd.ts";

/** A stream compression that can be opened. */
export type CompressionName = (typeof COMPRESSIONS)[number];

/**
 * Opens one compressed object: all of its members or frames, to the last byte of the source. History that a file may ask for,
 * beyond what its format fixes, is held in `memory`.
 */
export type Codec = (
  source: AsyncIterable<Uint8Array>,
  limits: Limits,
  memory: MemoryPart,
) => AsyncIterable<Uint8Array>;

export const CODECS: Record<CompressionName, Codec> = {
  gzip: gunzip,
  zstd: unzstd,
  bzip2: bunzip2,
  xz: unxz,
  lz4: unlz4,
  snappy: unsnappy,
  brotli: unbrotli,
  deflate: inflateZlib,
};
