import { isAscii, isUtf8 } from "node:buffer";
import { StageError } from "@sluice/errors";
import type { Block, SourceColumn } from "@sluice/schema";

/** Throws `parse.bad_encoding`, with row and column, unless each cell of these columns is UTF-8 for itself. */
export function assertTextColumns(
  block: Block,
  columns: readonly SourceColumn[],
  textColumns: readonly number[],
): void {
  for (const column of textColumns) {
    const text = block.columns[column];
    if (text === undefined) continue;
    const { offsets, data } = text;
    // All of them together, and none that begins inside of a character: only then is each one whole.
    if (isAscii(data)) continue;
    let isText = isUtf8(data);
    for (let row = 1; isText && row < block.rows; row++) {
      isText = ((data[offsets[row] ?? 0] ?? 0) & 0xc0) !== 0x80;
    }
    if (isText) continue;
    const isBad = (row: number): boolean => !isUtf8(data.subarray(offsets[row], offsets[row + 1]));
    let bad = 0;
    while (bad < block.rows - 1 && !isBad(bad)) bad++;
    throw new StageError("parse", "bad_encoding", "a string of the file is not UTF-8", {
      row: block.firstRow + bad,
      byteOffset: block.byteOffsets[bad] ?? 0,
      column: columns[column]?.name ?? "",
      expected: "UTF-8",
    });
  }
}
