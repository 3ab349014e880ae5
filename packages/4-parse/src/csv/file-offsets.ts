import { StageError } from "@sluice/errors";
import type { BlockBuilder } from "../blocks/block-builder.ts";
import { type Charset, UTF_8 } from "../encoding/charset.ts";
import type { Window } from "../window/window.ts";

/**
 * Positions in the file of what the window holds as UTF-8. It remembers one place in both and counts on
 * from it, over bytes that are in the processor's cache; so it is asked in ascending order, and before the window
 * drops them. In a file of UTF-8 the two are one and nothing is counted.
 */
export interface FileOffsets {
  /** Moves the remembered place to the window's start. */
  advance(window: Window): void;
  /** Notes where the records of the block from `first` on stand. */
  note(window: Window, block: BlockBuilder, first: number): void;
  /** Puts what was noted into the block, which is about to be taken. */
  fill(block: BlockBuilder): void;
  /** The same error with its byte offset in the file instead of the text. */
  relocate(window: Window, error: unknown): unknown;
}

const IDENTITY: FileOffsets = {
  advance: () => {},
  note: () => {},
  fill: () => {},
  relocate: (_, error) => error,
};

export function createFileOffsets(charset: Charset): FileOffsets {
  if (charset === UTF_8) return IDENTITY;
  let textAt = 0;
  let fileAt = 0;
  let noted = new Float64Array(1024);

  const locate = ({ bytes, base }: Window, textOffset: number): number => {
    const passed = Buffer.from(bytes.buffer, textAt - base, textOffset - textAt);
    fileAt += charset.byteLength(passed.toString());
    textAt = textOffset;
    return fileAt;
  };

  return {
    advance(window) {
      locate(window, window.base + window.start);
    },
    note(window, block, first) {
      if (block.rows > noted.length) {
        const grown = new Float64Array(block.byteOffsets.length);
        grown.set(noted);
        noted = grown;
      }
      for (let row = first; row < block.rows; row++) {
        noted[row] = locate(window, block.byteOffsets[row] ?? 0);
      }
    },
    fill(block) {
      block.byteOffsets.set(noted.subarray(0, block.rows));
    },
    relocate(window, error) {
      if (!(error instanceof StageError) || error.coordinate.byteOffset === undefined) return error;
      const byteOffset = locate(window, error.coordinate.byteOffset);
      const { stage, code, rawMessage, coordinate, cause, proposed, seen, expected } = error;
      return new StageError(stage, code, rawMessage, {
        ...coordinate,
        byteOffset,
        cause,
        proposed,
        ...(seen === undefined ? {} : { seen }),
        ...(expected === undefined ? {} : { expected }),
      });
    },
  };
}
