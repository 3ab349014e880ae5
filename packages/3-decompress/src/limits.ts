import { StageError } from "@sluice/errors";

/** How far a codec may go. */
export interface Limits {
  /** Bytes that may come out of one object. */
  readonly maxOutputBytes: number;
  /** Output bytes per input byte of deflate's family, judged once `ratioFromBytes` came out. */
  readonly maxRatio: number;
  /** The same for zstd. */
  readonly maxZstdRatio: number;
  readonly ratioFromBytes: number;
  readonly maxOutputPerRead: number;
  readonly maxZstdWindowBytes: number;
  readonly maxXzDictionaryBytes: number;
}

/**
 * What was measured on honest files sets these: deflate itself cannot pass 1,032 to 1; zstd gave
 * 32,490 to 1 of zeros. bzip2, xz, lz4, snappy and brotli have no ratio that would tell a bomb from
 * a constant file, so that only their output and their progress are bounded.
 */
export const DEFAULT_LIMITS: Limits = {
  maxOutputBytes: 2 ** 40,
  maxRatio: 1100,
  maxZstdRatio: 40_000,
  ratioFromBytes: 2 ** 30,
  maxOutputPerRead: 2 ** 30,
  maxZstdWindowBytes: 2 ** 27,
  maxXzDictionaryBytes: 2 ** 26,
};

/** Throws when this much output from this much input is over a limit. */
export function assertWithinLimits(
  limits: Limits,
  kind: string,
  input: number,
  output: number,
): void {
  const layers = [{ kind, offset: input }];
  if (output > limits.maxOutputBytes) {
    throw new StageError(
      "decompress",
      "limit_exceeded",
      `The content is larger than maxOutputBytes = ${limits.maxOutputBytes} bytes.`,
      { layers },
    );
  }
  if (output > limits.ratioFromBytes && output > input * limits.maxRatio) {
    throw new StageError(
      "decompress",
      "limit_exceeded",
      `The content is more than maxRatio = ${limits.maxRatio} times as large as its ${kind} container.`,
      { layers },
    );
  }
}
