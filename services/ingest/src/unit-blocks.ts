import type { Block, TextColumn } from "@sluice/schema";

/**
 * Blocks of small files are kept until all files of a unit are read: without the room that their builder left. Releases the
 * one that is given.
 */
export function compactBlock(block: Block, chosen: readonly number[]): Block {
  const columns = block.columns.map(() => NOTHING);
  for (const index of chosen) {
    const column = block.columns[index];
    if (column !== undefined) columns[index] = compactColumn(column, block.rows);
  }
  const { rows, firstRow, faults } = block;
  const byteOffsets = block.byteOffsets.slice(0, rows);
  block.release?.();
  return { rows, firstRow, columns, byteOffsets, faults };
}

/** A column that nobody chose. */
const NOTHING: TextColumn = {
  offsets: new Int32Array(0),
  data: new Uint8Array(0),
  validity: undefined,
  nullCount: 0,
};

function compactColumn(
  { offsets, data, validity, nullCount }: TextColumn,
  rows: number,
): TextColumn {
  return {
    offsets: offsets.slice(0, rows + 1),
    data: data.slice(0, offsets[rows]),
    validity: validity?.slice(0, Math.ceil(rows / 8)),
    nullCount,
  };
}

/** Bytes of a compact block. */
export function heldBy({ columns, byteOffsets, faults }: Block): number {
  let bytes = byteOffsets.byteLength;
  for (const { offsets, data, validity } of columns) {
    bytes += offsets.byteLength + data.byteLength + (validity?.byteLength ?? 0);
  }
  for (const { raw } of faults) bytes += raw.byteLength;
  return bytes;
}
