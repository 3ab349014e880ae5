/** Pieces of at most this size go in: openpgp.js holds some pieces of each of its inner streams. */
const PIECE_BYTES = 128 * 1024;

/** Bytes as a web stream that pulls only when it is pulled; a failure of the bytes becomes the stream's. */
export function toWebStream(bytes: AsyncIterator<Uint8Array>): ReadableStream<Uint8Array> {
  let held: Uint8Array = new Uint8Array(0);
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        while (held.byteLength === 0) {
          const { done, value } = await bytes.next();
          if (done) {
            controller.close();
            return;
          }
          held = value;
        }
        const piece = held.subarray(0, PIECE_BYTES);
        held = held.subarray(piece.byteLength);
        // A Buffer's slice() shares memory where a Uint8Array's copies.
        controller.enqueue(new Uint8Array(piece.buffer, piece.byteOffset, piece.byteLength));
      },
    },
    { highWaterMark: 0 },
  );
}
