/** Copies shorter than this are made byte by byte: a call costs more. */
export const SHORT_COPY = 32;

/** Copies `length` bytes of history that may overlap with what they become; gives the end. */
export function copyMatch(window: Uint8Array, from: number, to: number, length: number): number {
  const end = to + length;
  const distance = to - from;
  if (length < SHORT_COPY) {
    for (let at = to; at < end; at++) window[at] = window[at - distance] as number;
  } else if (distance === 1) {
    window.fill(window[from] as number, to, end);
  } else {
    // What is there already doubles with every copy.
    for (let at = to, span = distance; at < end; at += span, span *= 2) {
      window.copyWithin(at, from, Math.min(from + span, from + (end - at)));
    }
  }
  return end;
}
