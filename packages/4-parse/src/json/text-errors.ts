import { StageError } from "@sluice/errors";
import { type BlockBuilder, placeOf } from "../blocks/block-builder.ts";
import type { Window } from "../window/window.ts";
import type { JsonLimits } from "./limits.ts";
import { OPEN_BRACE, OPEN_BRACKET } from "./scan.ts";

/** What ends the whole file at this place, with the row that would have been next. */
export function fatal(
  block: BlockBuilder,
  code: "malformed" | "record_too_large",
  message: string,
  byteOffset: number,
): StageError {
  return new StageError("parse", code, message, placeOf(block, block.rows, byteOffset));
}

export function recordTooLarge(
  block: BlockBuilder,
  { maxRecordBytes }: JsonLimits,
  byteOffset: number,
): StageError {
  const message = `more than maxRecordBytes = ${maxRecordBytes} bytes in a record`;
  return fatal(block, "record_too_large", message, byteOffset);
}

/** Something stands behind the text that should be the only one: when it is another text, `shape` reads both. */
export function moreThanOne(
  block: BlockBuilder,
  { bytes, base }: Window,
  at: number,
  shape: "lines" | "concatenated",
): StageError {
  const c = bytes[at];
  if (c !== OPEN_BRACE && c !== OPEN_BRACKET) {
    return fatal(block, "malformed", "the text ends before this", base + at);
  }
  const message = `the file holds more than one JSON text: set shape to ${shape}`;
  const place = placeOf(block, block.rows, base + at);
  const expected = "shape records";
  return new StageError("parse", "malformed", message, {
    ...place,
    seen: shape,
    expected,
    proposed: [{ setting: "json.shape", value: shape }],
  });
}
