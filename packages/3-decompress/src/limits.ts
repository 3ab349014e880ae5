import { StageError } from "@sluice/errors";

/** How far a codec may go. */
export interface OutputLimits {
  /** Bytes that may come out of one object. */
  readonly maxOutputBytes: number;
  /** Output bytes per input byte, judged once `ratioFromBytes` came out: small files may compress as they like. */
  readonly maxRatio: number;
  readonly ratioFromBytes: number;
}

/** Throws when this much output from this much input is over a limit. */
export function assertWithinLimits(
  limits: OutputLimits,
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
