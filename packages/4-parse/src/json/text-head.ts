import type { Window } from "../window/window.ts";
import { RAW_BYTES } from "./fault.ts";
import type { Rows } from "./rows.ts";

/** One byte more than is kept of a record tells whether a character is cut. */
const HEAD_BYTES = RAW_BYTES + 1;

/** A text's first bytes: what is kept of it when it turns out to have no record. */
export interface TextHead {
  /** Where the text begins in the entry. */
  byteOffset: number;
  bytes: Uint8Array;
  /** How many of them were kept, because the window moved on. */
  kept: number;
}

export function createTextHead(): TextHead {
  return { byteOffset: 0, bytes: new Uint8Array(0), kept: 0 };
}

export function beginHead(head: TextHead, byteOffset: number): void {
  head.byteOffset = byteOffset;
  head.kept = 0;
}

/** Keeps of the text what the window has, before it moves on. */
export function keepHead(head: TextHead, { bytes, base, end }: Window): void {
  if (head.kept === HEAD_BYTES) return;
  if (head.bytes.length === 0) head.bytes = new Uint8Array(HEAD_BYTES);
  const from = head.byteOffset + head.kept - base;
  const piece = bytes.subarray(from, Math.min(end, from + HEAD_BYTES - head.kept));
  head.bytes.set(piece, head.kept);
  head.kept += piece.length;
}

/** Makes a faulty row of the text, which ends at `to` in the window. */
export function refuseText(
  head: TextHead,
  rows: Rows,
  window: Window,
  to: number,
  message: string,
): void {
  const { byteOffset } = head;
  if (head.kept === 0) {
    rows.refuse(window, byteOffset - window.base, to, "malformed", message);
    return;
  }
  keepHead(head, window);
  const length = Math.min(head.kept, window.base + to - byteOffset);
  const place = { ...window, bytes: head.bytes, base: byteOffset };
  rows.refuse(place, 0, length, "malformed", message);
}
