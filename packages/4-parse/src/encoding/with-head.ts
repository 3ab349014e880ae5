/** The first bytes of a source, taken off to be looked at, and all of it. */
export interface WithHead {
  /** `length` bytes, or fewer when the source is shorter. */
  readonly head: Uint8Array;
  /** The whole source, the head included. Closing it closes the source. */
  readonly bytes: AsyncGenerator<Uint8Array>;
}

/** Reads until `length` bytes are there, or the source ends. */
export async function withHead(
  iterator: AsyncIterator<Uint8Array>,
  length: number,
): Promise<WithHead> {
  const first: Uint8Array[] = [];
  let held = 0;
  while (held < length) {
    const next = await iterator.next();
    if (next.done) break;
    if (next.value.byteLength === 0) continue;
    first.push(next.value);
    held += next.value.byteLength;
  }
  const head = Buffer.concat(first.map((chunk) => chunk.subarray(0, length))).subarray(0, length);
  return { head, bytes: replay(first, iterator) };
}

async function* replay(
  first: Uint8Array[],
  iterator: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  try {
    for (let chunk = first.shift(); chunk !== undefined; chunk = first.shift()) yield chunk;
    for (let next = await iterator.next(); !next.done; next = await iterator.next()) {
      yield next.value;
    }
  } finally {
    await iterator.return?.();
  }
}
