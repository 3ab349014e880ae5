/**
 * Gives the memory behind a view back at once, instead of leaving it to the garbage collector: V8 collects the whole heap for
 * each few megabytes of buffers that were made. The view, and all others on its buffer, are empty from then on; so nobody may look at them
 * any more, and no request may still be writing them. Again does nothing.
 */
export function free({ buffer }: ArrayBufferView): void {
  if (buffer instanceof ArrayBuffer && !buffer.detached) buffer.transfer(0);
}

const passing = new WeakSet<ArrayBufferLike>();

/** Says of a chunk that nobody but its reader looks at it any more: whoever is done with it may free it. */
export function pass<Chunk extends Uint8Array>(chunk: Chunk): Chunk {
  if (chunk.byteLength === chunk.buffer.byteLength) passing.add(chunk.buffer);
  return chunk;
}

/**
 * Frees a chunk that was passed on like that; leaves all others. A part of one is left as well: who cut it, as an
 * archive's reader cuts its entries, still looks at the rest.
 */
export function freePassed(chunk: Uint8Array): void {
  const isWhole = chunk.byteLength === chunk.buffer.byteLength;
  if (isWhole && passing.delete(chunk.buffer)) free(chunk);
}
