import { endOfScalar, endOfString } from "./scalars.ts";
import {
  CLOSE_BRACE,
  CLOSE_BRACKET,
  COLON,
  COMMA,
  OPEN_BRACE,
  OPEN_BRACKET,
  QUOTE,
  type Scan,
  STOPPED,
  skipSpace,
  stop,
  stopAtLimit,
} from "./scan.ts";
import { keyExpected } from "./unexpected.ts";

/**
 * Checks the value that begins at `from`, whatever it is, by the whole grammar, and gives the position
 * behind it. `depth` containers are open around it. No call stack grows with the file's nesting.
 */
export function skipValue(scan: Scan, bytes: Uint8Array, from: number, depth: number): number {
  const { closers, counts, limits } = scan;
  let level = 0;
  let i = from;
  for (;;) {
    const c = bytes[i] as number;
    if (c === QUOTE) {
      i = endOfString(scan, bytes, i + 1);
      if (i < 0) return STOPPED;
      i++;
    } else if (c === OPEN_BRACE || c === OPEN_BRACKET) {
      if (depth + level >= limits.maxDepth) return stopAtDepth(scan, i);
      level++;
      counts[level] = 0;
      const closer = c + 2;
      closers[level] = closer;
      i = skipSpace(scan, bytes, i + 1);
      if (bytes[i] === closer) {
        level--;
        i++;
      } else if (c === OPEN_BRACKET) {
        continue;
      } else {
        i = skipKey(scan, bytes, i, level);
        if (i < 0) return STOPPED;
        continue;
      }
    } else {
      i = endOfScalar(scan, bytes, i);
      if (i < 0) return STOPPED;
    }
    // Behind a value: up to the next one, out of as many containers as end here.
    for (;;) {
      if (level === 0) return i;
      i = skipSpace(scan, bytes, i);
      const next = bytes[i];
      const closer = closers[level];
      if (next === COMMA) {
        i = skipSpace(scan, bytes, i + 1);
        if (closer === CLOSE_BRACE) {
          i = skipKey(scan, bytes, i, level);
          if (i < 0) return STOPPED;
        }
        break;
      }
      if (next !== closer) return stop(scan, i, commaOr(closer));
      level--;
      i++;
    }
  }
}

/** Passes a key, its colon and the blanks around them, up to the member's value. */
function skipKey(scan: Scan, bytes: Uint8Array, from: number, level: number): number {
  if (bytes[from] !== QUOTE) return stop(scan, from, keyExpected(bytes[from]));
  const end = endOfString(scan, bytes, from + 1);
  if (end < 0) return STOPPED;
  if (end - from - 1 > scan.limits.maxKeyBytes) return stopAtKeyBytes(scan, end);
  const count = (scan.counts[level] as number) + 1;
  if (count > scan.limits.maxKeys) return stopAtKeys(scan, end);
  scan.counts[level] = count;
  return skipColon(scan, bytes, end + 1);
}

/** Passes the colon behind a key, and the blanks around it. */
export function skipColon(scan: Scan, bytes: Uint8Array, from: number): number {
  const i = skipSpace(scan, bytes, from);
  if (bytes[i] !== COLON) return stop(scan, i, "a colon is expected");
  return skipSpace(scan, bytes, i + 1);
}

/** What is expected behind a value inside of a container. */
export function commaOr(closer: number | undefined): string {
  return `a comma or ${closer === CLOSE_BRACKET ? "]" : "}"} is expected`;
}

export function stopAtDepth(scan: Scan, at: number): number {
  return stopAtLimit(scan, at, "maxDepth", "objects and arrays inside of each other");
}

export function stopAtKeyBytes(scan: Scan, at: number): number {
  return stopAtLimit(scan, at, "maxKeyBytes", "bytes in a key");
}

export function stopAtKeys(scan: Scan, at: number): number {
  return stopAtLimit(scan, at, "maxKeys", "members in an object");
}
