import { StageError, type StageErrorOptions } from "@sluice/errors";

/** Bytes that do not follow the format; whoever knows the place adds it by `at`. */
export function malformed(message: string, options: StageErrorOptions = {}): StageError<"parse"> {
  return new StageError("parse", "malformed", message, options);
}

/** `what` is more than a limit, which the message names. */
export function tooLarge(
  what: string,
  option: string,
  limit: number,
  options: StageErrorOptions = {},
): StageError<"parse"> {
  const message = `${what}, more than ${option} = ${limit}`;
  return new StageError("parse", "record_too_large", message, options);
}
