import { StageError } from "@sluice/errors";
import type { Charset } from "./charset.ts";

/** Some of a file's text. */
export interface TextPiece {
  readonly text: string;
  /** Where its first character stands in the file, in bytes. */
  readonly byteOffset: number;
  /** Bytes of the file that it was made of. */
  readonly byteLength: number;
}

/** Longer chunks are decoded in pieces: a string is held whole beside its bytes. */
const PIECE_BYTES = 1 << 16;

/**
 * Decodes a stream into pieces of whole characters. Where the bytes are no character of the charset, gives
 * the text before them and then throws `parse.bad_encoding` with their byte offset.
 */
export async function* textPieces(
  source: AsyncIterable<Uint8Array>,
  charset: Charset,
): AsyncGenerator<TextPiece> {
  let byteOffset = 0;
  let carry: Uint8Array = new Uint8Array(0);
  for await (const chunk of source) {
    for (let at = 0; at < chunk.byteLength; at += PIECE_BYTES) {
      const fresh = chunk.subarray(at, at + PIECE_BYTES);
      const bytes = carry.byteLength === 0 ? fresh : Buffer.concat([carry, fresh]);
      const { text, taken, isInvalid } = charset.decode(bytes, false);
      if (taken > 0) yield { text, byteOffset, byteLength: taken };
      byteOffset += taken;
      if (isInvalid) throw invalid(charset, byteOffset);
      // A copy: the source may write into its chunk again.
      carry = bytes.slice(taken);
    }
  }
  if (carry.byteLength === 0) return;
  const { text, taken, isInvalid } = charset.decode(carry, true);
  if (taken > 0) yield { text, byteOffset, byteLength: taken };
  if (isInvalid) throw invalid(charset, byteOffset + taken);
}

export function invalid(charset: Charset, byteOffset: number): StageError {
  return new StageError("parse", "bad_encoding", `the bytes here are not ${charset.name}`, {
    byteOffset,
    expected: charset.name,
  });
}
