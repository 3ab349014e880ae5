import { StageError } from "@sluice/errors";

type DamageCode = "corrupt" | "checksum_mismatch" | "truncated" | "unsupported_method";

/** What is wrong with one container's bytes, and how far into them it was seen. */
export interface Damage {
  corrupt(message: string, cause?: unknown): StageError;
  mismatch(message: string): StageError;
  /** `where` completes the sentence "The container ends ...". */
  truncated(where: string): StageError;
  unsupported(message: string, seen: string, expected: string): StageError;
}

/** Makes the errors of one container; `offset` tells how many of its bytes were read. */
export function damageOf(kind: string, offset: () => number): Damage {
  const error = (code: DamageCode, message: string, facts: object = {}): StageError =>
    new StageError("decompress", code, message, { layers: [{ kind, offset: offset() }], ...facts });
  return {
    corrupt: (message, cause) => error("corrupt", message, { cause }),
    mismatch: (message) => error("checksum_mismatch", message),
    truncated: (where) => error("truncated", `The ${kind} container ends ${where}.`),
    unsupported: (message, seen, expected) =>
      error("unsupported_method", message, { seen, expected }),
  };
}
