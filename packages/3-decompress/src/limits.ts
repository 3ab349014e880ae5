import { StageError } from "@sluice/errors";

/** How far a codec may go. */
export interface Limits {
  /** Bytes that may come out of one object. Default 1 TiB. */
  readonly maxOutputBytes: number;
  /**
   * Output bytes per input byte of gzip and deflate, once more than `ratioFromBytes` came out. Default
   * 1,100: deflate itself cannot pass 1,032 to 1, so that no honest file is refused.
   */
  readonly maxRatio: number;
  /** The same of zstd. Default 40,000: zeros gave 32,490 to 1. The other codecs have no ratio rule. */
  readonly maxZstdRatio: number;
  /** Output bytes up to which files may compress as they like. Default 1 GiB. */
  readonly ratioFromBytes: number;
  /**
   * Output bytes while not one more byte of input was needed. Default 64 MiB: the most that one block
   * of any of the formats holds is bzip2's, 45.9 MB.
   */
  readonly maxOutputWithoutInput: number;
  /**
   * Members, frames, streams or chunks one after the other that give no content. Default 10,000: each costs far
   * more time than the few bytes it takes.
   */
  readonly maxEmptyFrames: number;
  /** Bytes of history that a zstd frame may ask for. Default 128 MiB (`zstd --long=27`). */
  readonly maxZstdWindowBytes: number;
  /** Bytes of history that an xz block may ask for. Default 64 MiB (`xz -9`). */
  readonly maxXzDictionaryBytes: number;
}

export const DEFAULT_LIMITS: Limits = {
  maxOutputBytes: 2 ** 40,
  maxRatio: 1100,
  maxZstdRatio: 40_000,
  ratioFromBytes: 2 ** 30,
  maxOutputWithoutInput: 2 ** 26,
  maxEmptyFrames: 10_000,
  maxZstdWindowBytes: 2 ** 27,
  maxXzDictionaryBytes: 2 ** 26,
};

export type LimitName = keyof Limits;

/** The error that a limit was passed; it names the option. `subject` begins the sentence. */
export function overLimit(
  kind: string,
  offset: number,
  subject: string,
  option: LimitName,
  limits: Limits,
): StageError {
  return new StageError(
    "decompress",
    "limit_exceeded",
    `${subject} ${option} = ${limits[option]}.`,
    { layers: [{ kind, offset }] },
  );
}

/** Counts what comes out of one object against its limits. */
export interface Meter {
  /** Counts `output` more bytes, with `input` bytes of the container used so far in all. */
  count(output: number, input: number): void;
  /** Counts one more member, frame, stream or chunk that ends at `input`, whether it gave content or not. */
  endFrame(input: number): void;
}

/** Creates the meter of one object; `ratio` is the codec's own ratio rule, if its format bounds it. */
export function createMeter(
  kind: string,
  limits: Limits,
  ratio?: "maxRatio" | "maxZstdRatio",
): Meter {
  let total = 0;
  let lastInput = 0;
  let atLastInput = 0;
  let atLastFrame = 0;
  let emptyFrames = 0;
  return {
    endFrame(input) {
      emptyFrames = total === atLastFrame ? emptyFrames + 1 : 0;
      atLastFrame = total;
      if (emptyFrames > limits.maxEmptyFrames) {
        const subject = "One after the other there are more frames without content than";
        throw overLimit(kind, input, subject, "maxEmptyFrames", limits);
      }
    },
    count(output, input) {
      if (input !== lastInput) {
        lastInput = input;
        atLastInput = total;
      }
      total += output;
      if (total > limits.maxOutputBytes) {
        throw overLimit(kind, input, "The content has more bytes than", "maxOutputBytes", limits);
      }
      if (total - atLastInput > limits.maxOutputWithoutInput) {
        const subject = "Without any more input the content grew by more bytes than";
        throw overLimit(kind, input, subject, "maxOutputWithoutInput", limits);
      }
      if (ratio !== undefined && total > limits.ratioFromBytes && total > input * limits[ratio]) {
        const subject = `The content is larger than its ${kind} container by more than`;
        throw overLimit(kind, input, subject, ratio, limits);
      }
    },
  };
}
