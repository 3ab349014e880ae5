/**
 * Copies `count` bits from position `from` of a bitmap (undefined: all ones) to position `at` of
 * `target`, whose bits there are zero. Returns how many of them are zero.
 */
export function copyBits(
  source: Uint8Array | undefined,
  from: number,
  count: number,
  target: Uint8Array,
  at: number,
): number {
  let zeros = 0;
  for (let done = 0; done < count; done += 8) {
    const size = Math.min(8, count - done);
    const mask = (1 << size) - 1;
    const byte = (source === undefined ? 0xff : eight(source, from + done)) & mask;
    zeros += size - ones(byte);
    const to = at + done;
    const low = to >> 3;
    const shifted = byte << (to & 7);
    target[low] = (target[low] ?? 0) | (shifted & 0xff);
    if (shifted > 0xff) target[low + 1] = (target[low + 1] ?? 0) | (shifted >> 8);
  }
  return zeros;
}

/** How many of `count` bits from position `from` are zero. */
export function countZeros(source: Uint8Array | undefined, from: number, count: number): number {
  let zeros = 0;
  if (source === undefined) return zeros;
  for (let done = 0; done < count; done += 8) {
    const size = Math.min(8, count - done);
    zeros += size - ones(eight(source, from + done) & ((1 << size) - 1));
  }
  return zeros;
}

function eight(source: Uint8Array, from: number): number {
  const at = from >> 3;
  return (((source[at] ?? 0) | ((source[at + 1] ?? 0) << 8)) >> (from & 7)) & 0xff;
}

function ones(byte: number): number {
  let bits = byte - ((byte >> 1) & 0x55);
  bits = (bits & 0x33) + ((bits >> 2) & 0x33);
  return (bits + (bits >> 4)) & 0x0f;
}
