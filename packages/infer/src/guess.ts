/** A setting that was inferred, and why. */
export interface Guess<T> {
  readonly value: T;
  /** From 0, no idea, to 1, certain. */
  readonly confidence: number;
  /** What was seen, in words; counts and names, no values of rows. */
  readonly evidence: string;
}

export const guess = <T>(value: T, confidence: number, evidence: string): Guess<T> => ({
  value,
  confidence,
  evidence,
});

/** "12 of 15 records". */
export const shareOf = (some: number, all: number, what: string): string =>
  some === all ? `all ${all} ${what}` : `${some} of ${all} ${what}`;
