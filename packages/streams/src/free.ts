/**
 * Gives the memory behind a view back at once, instead of leaving it to the garbage collector: V8 collects the whole heap for
 * each few megabytes of buffers that were made. The view, and all others on its buffer, are empty from then on; so nobody may look at them
 * any more, and no request may still be writing them. Again does nothing.
 */
export function free({ buffer }: ArrayBufferView): void {
  if (buffer instanceof ArrayBuffer && !buffer.detached) buffer.transfer(0);
}
