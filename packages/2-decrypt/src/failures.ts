import { StageError } from "@sluice/errors";

const layer = (offset: number): { readonly kind: string; readonly offset: number } => ({
  kind: "pgp",
  offset,
});

/** The file ends before the message does. */
export function truncated(offset: number): StageError<"decrypt"> {
  return new StageError("decrypt", "truncated", "The OpenPGP message ends before its end.", {
    layers: [layer(offset)],
  });
}

/**
 * The one answer to everything that is wrong inside the encryption: it says nothing of what was
 * decrypted, so that nobody can learn plaintext by altering messages and reading errors.
 */
export function integrityFailed(offset: number, cause?: unknown): StageError<"decrypt"> {
  return new StageError("decrypt", "integrity_failed", "The message fails its integrity check.", {
    layers: [layer(offset)],
    cause,
  });
}

/** Bytes outside the encryption that do not belong to one message: no secret is in saying so. */
export function badFraming(offset: number, message: string): StageError<"decrypt"> {
  return new StageError("decrypt", "integrity_failed", message, { layers: [layer(offset)] });
}

/**
 * What was decrypted is no message. This is said of a message whose integrity has been judged, and
 * only then: for any other, `integrityFailed` is the answer.
 */
export function malformed(offset: number, cause?: unknown): StageError<"decrypt"> {
  return new StageError(
    "decrypt",
    "integrity_failed",
    "The message is whole, but what it holds is damaged or no OpenPGP data.",
    { layers: [layer(offset)], cause },
  );
}

export function unsupportedAlgorithm(seen: string, cause?: unknown): StageError<"decrypt"> {
  return new StageError("decrypt", "unsupported_algorithm", `${seen} is not supported.`, {
    seen,
    cause,
  });
}

export function limitExceeded(message: string): StageError<"decrypt"> {
  return new StageError("decrypt", "limit_exceeded", message);
}

export function notEncrypted(seen: string): StageError<"decrypt"> {
  return new StageError(
    "decrypt",
    "not_encrypted",
    `The file is no encrypted OpenPGP message; it is ${seen}.`,
    { seen, expected: "an encrypted OpenPGP message" },
  );
}

export function wrongPassphrase(cause?: unknown): StageError<"decrypt"> {
  return new StageError(
    "decrypt",
    "bad_passphrase",
    "The passphrase does not open the message, or the message's beginning is damaged.",
    { cause },
  );
}
