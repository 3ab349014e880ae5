import type { StageError } from "@sluice/errors";
import type { Transform } from "./pipe.ts";

/** Makes the error that a passed limit throws; each stage has its own code for it. */
export type LimitError = (message: string) => StageError;

/** Stops the source and throws once more than `limit` bytes have passed; the error names `option`. */
export function maxBytes(
  limit: number,
  option: string,
  toError: LimitError,
): Transform<Uint8Array, Uint8Array> {
  return async function* (source) {
    let seen = 0;
    for await (const chunk of source) {
      seen += chunk.byteLength;
      if (seen > limit) throw toError(`more than ${option} = ${limit} bytes`);
      yield chunk;
    }
  };
}
