import { StageError } from "@sluice/errors";
import { endRow } from "../blocks/column-builder.ts";
import type { ColumnPlan } from "./columns.ts";
import { assertCount, assertWithin, setBytes } from "./cursor.ts";
import type { DataBlock } from "./data-blocks.ts";
import { assertRecordBytes, type Decoder, type Step } from "./decoder.ts";
import { malformed } from "./fault.ts";
import { isEmpty } from "./skip.ts";

/** Turns the records of one Avro block after the other into rows. */
export interface Records {
  /** `areInPlace`: the bytes stand in the file as they are, so that each record has a position of its own. */
  begin(found: DataBlock, bytes: Uint8Array, areInPlace: boolean): void;
  /** Goes on until the block of columns is full (false) or the Avro block is read to its last byte (true). */
  decode(): boolean;
}

export function createRecords(
  decoder: Decoder,
  step: Step,
  { root, columns }: ColumnPlan,
): Records {
  const { cursor, rows, limits } = decoder;
  const areEmpty = isEmpty(root);
  const width = columns.length;
  // Always room for one row, however many columns there are.
  const cellRows = Math.max(1, Math.floor(limits.maxBlockCells / Math.max(1, width)));
  const maxRows = Math.min(limits.maxBlockRows, cellRows);
  let left = 0;
  let start = 0;
  let isExact = false;
  let recordStart = 0;
  let recordRow = 1;
  // Of the rows that are not yet taken.
  let textBytes = 0;

  const decodeSome = (): boolean => {
    while (left > 0) {
      recordStart = cursor.at;
      recordRow = rows.firstRow + rows.rows;
      step();
      assertWithin(cursor);
      const bytes = endRow(rows, isExact ? start + recordStart : start);
      assertRecordBytes(bytes - textBytes, limits);
      textBytes = bytes;
      left--;
      if (rows.rows >= maxRows || bytes >= limits.maxBlockBytes) {
        textBytes = 0;
        return false;
      }
    }
    recordStart = cursor.at;
    recordRow = rows.firstRow + rows.rows;
    if (cursor.at !== cursor.end) {
      throw malformed(`the block has ${cursor.end - cursor.at} bytes behind its last record`);
    }
    return true;
  };

  return {
    begin(found, bytes, areInPlace) {
      setBytes(cursor, bytes, 0, bytes.length, limits);
      left = found.count;
      isExact = areInPlace;
      start = areInPlace ? found.dataOffset : found.byteOffset;
      assertCount(cursor, left, areEmpty, limits);
    },
    decode() {
      try {
        return decodeSome();
      } catch (error) {
        if (!(error instanceof StageError)) throw error;
        throw error.at({
          row: recordRow,
          byteOffset: isExact ? start + recordStart : start,
        });
      }
    },
  };
}
