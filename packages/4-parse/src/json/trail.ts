import type { FieldPath } from "@sluice/schema";
import { fold, readName } from "./names.ts";
import { BACKSLASH, CLOSE_BRACE, CLOSE_BRACKET, OPEN_BRACE } from "./scan.ts";

/** A container that is open around the place where the walk through a text stands. */
export interface Frame {
  readonly closer: number;
  /** Steps of the recordPath that lead here; -1 beside it. */
  readonly steps: number;
  /** Whether its elements are records. */
  readonly holdsRecords: boolean;
  /** Members, or elements before the one that the walk stands at. */
  count: number;
  /** Whether a member has led on: spelled as the path is, or in another case. */
  led: "not" | "folded" | "exactly";
}

/** Follows the recordPath through a text. */
export interface Trail {
  /** The open containers, from the root on. */
  readonly frames: Frame[];
  /** Before a text. */
  begin(): void;
  /** Whether the value that comes next is where the path leads to. */
  isAtRecords(): boolean;
  /** Into the object or array that begins with `open`. */
  enter(open: number, holdsRecords: boolean): void;
  /** On to the next element of the innermost array. */
  nextElement(): void;
  /**
   * To the member whose key is `bytes[from .. to)`, quotes included. False when the path has led to
   * records of this text before, through a member of the same name.
   */
  nextMember(bytes: Uint8Array, from: number, to: number, hasRecords: boolean): boolean;
}

export function createTrail(path: FieldPath): Trail {
  const frames: Frame[] = [];
  /** Steps that lead to the value that comes next; -1 beside the path. */
  let steps = 0;

  function toElement(frame: Frame): void {
    steps = frame.steps >= 0 && path[frame.steps] === frame.count ? frame.steps + 1 : -1;
  }

  return {
    frames,
    begin() {
      steps = 0;
    },
    isAtRecords: () => steps === path.length,
    enter(open, holdsRecords) {
      const isObject = open === OPEN_BRACE;
      const closer = isObject ? CLOSE_BRACE : CLOSE_BRACKET;
      const frame: Frame = { closer, steps, holdsRecords, count: 0, led: "not" };
      frames.push(frame);
      if (!isObject) toElement(frame);
    },
    nextElement() {
      const frame = frames.at(-1);
      if (frame === undefined) return;
      frame.count++;
      toElement(frame);
    },
    nextMember(bytes, from, to, hasRecords) {
      const frame = frames.at(-1);
      const wanted = frame === undefined || frame.steps < 0 ? undefined : path[frame.steps];
      steps = -1;
      if (frame === undefined || typeof wanted !== "string") return true;
      const name = readKey(bytes, from, to);
      const isExact = name === wanted;
      if (!isExact && (frame.led === "exactly" || fold(name) !== fold(wanted))) return true;
      if (frame.led !== "not" && hasRecords) return false;
      frame.led = isExact ? "exactly" : "folded";
      steps = frame.steps + 1;
      return true;
    },
  };
}

function readKey(bytes: Uint8Array, from: number, to: number): string {
  const key = Buffer.from(bytes.buffer, bytes.byteOffset + from + 1, to - from - 2);
  return readName(key, key.includes(BACKSLASH));
}
