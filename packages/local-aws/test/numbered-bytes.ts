import { Readable } from "node:stream";

const PIECE_BYTES = 1024 ** 2;

/** A stream of bytes that are made as they are read: no two pieces of 1 MiB are alike. */
export function numberedBytes(size: number, onPiece?: (piece: Buffer) => void): Readable {
  return Readable.from(pieces(size, onPiece), { objectMode: false, highWaterMark: PIECE_BYTES });
}

function* pieces(size: number, onPiece: ((piece: Buffer) => void) | undefined): Iterable<Buffer> {
  for (let start = 0; start < size; start += PIECE_BYTES) {
    const piece = Buffer.alloc(Math.min(PIECE_BYTES, size - start), 0x61);
    piece.write(String(start));
    onPiece?.(piece);
    yield piece;
  }
}
