import type { JsonLimits } from "./limits.ts";

export const NUL = 0x00;
export const TAB = 0x09;
export const LF = 0x0a;
export const CR = 0x0d;
export const SPACE = 0x20;
export const QUOTE = 0x22;
export const COMMA = 0x2c;
export const COLON = 0x3a;
export const OPEN_BRACKET = 0x5b;
export const BACKSLASH = 0x5c;
export const CLOSE_BRACKET = 0x5d;
export const OPEN_BRACE = 0x7b;
export const CLOSE_BRACE = 0x7d;

/** What a scan gives instead of a position when it stopped: where and why stands in the `Scan`. */
export const STOPPED = -1;

/**
 * What the functions of the grammar share. They go over bytes behind whose end stands one NUL, which
 * is allowed nowhere in a JSON text: so a stop at or behind the end means that the text is not there
 * yet, or is cut, and a stop before it that the text breaks the grammar or a limit.
 */
export interface Scan {
  readonly limits: JsonLimits;
  /** 1 for the bytes that are insignificant whitespace: with shape `lines` no line break is. */
  readonly space: Uint8Array;
  /** For each open container of a value that is passed over: its closing byte, and its members so far. */
  readonly closers: Uint8Array;
  readonly counts: Int32Array;
  /** Whether the string that was passed last has escapes. */
  hasEscapes: boolean;
  /** Where the scan stopped. */
  at: number;
  /** Why: what was expected there, or what is not allowed. Never what stands there. */
  reason: string;
  /** The limit that was passed, when one was. */
  option: keyof JsonLimits | undefined;
}

export function createScan(limits: JsonLimits, isLines: boolean): Scan {
  const space = new Uint8Array(256);
  space[SPACE] = 1;
  space[TAB] = 1;
  if (!isLines) {
    space[LF] = 1;
    space[CR] = 1;
  }
  return {
    limits,
    space,
    closers: new Uint8Array(limits.maxDepth + 1),
    counts: new Int32Array(limits.maxDepth + 1),
    hasEscapes: false,
    at: 0,
    reason: "",
    option: undefined,
  };
}

/** Stops the scan at a byte that the grammar does not allow. */
export function stop(scan: Scan, at: number, reason: string): number {
  scan.at = at;
  scan.reason = reason;
  scan.option = undefined;
  return STOPPED;
}

/** Stops the scan where a limit is passed. */
export function stopAtLimit(
  scan: Scan,
  at: number,
  option: keyof JsonLimits,
  unit: string,
): number {
  scan.at = at;
  scan.reason = `more than ${option} = ${scan.limits[option]} ${unit}`;
  scan.option = option;
  return STOPPED;
}

/** The first byte from `i` on that is no whitespace. */
export function skipSpace(scan: Scan, bytes: Uint8Array, i: number): number {
  return (bytes[i] as number) > SPACE ? i : skipRun(scan.space, bytes, i);
}

function skipRun(space: Uint8Array, bytes: Uint8Array, from: number): number {
  let i = from;
  while (space[bytes[i] as number] === 1) i++;
  return i;
}
