import { StageError } from "@sluice/errors";
import type { MemoryPart } from "@sluice/streams";
import type { BlockBuilder } from "../blocks/block-builder.ts";
import { heldByBlock } from "../blocks/held-memory.ts";
import type { XmlLimits } from "./limits.ts";
import type { RecordReader, XmlRecord } from "./record-reader.ts";
import type { Rows } from "./rows.ts";

/** Where the records of one document go: rows of the block under construction. */
export interface RowSink {
  readonly reader: RecordReader;
  /** A block is full with so many rows. */
  readonly maxRows: number;
  /** Whether there was a record yet. */
  hasRecord: boolean;
  /** Adds rows: the block is full at each step. */
  add(records: Iterable<XmlRecord>): Iterable<void>;
  /** Bytes that the reader and the block hold. */
  heldBytes(): number;
  /** The error with the number of the row that it is in. */
  inRow(error: unknown): unknown;
}

/** What is told while a document is read. */
export interface Account {
  readonly memory: MemoryPart;
  /** The root's name, undefined as long as there is none. */
  readonly onRoot: (name: string | undefined) => void;
}

export function createRowSink(
  rows: Rows,
  reader: RecordReader,
  block: BlockBuilder,
  limits: XmlLimits,
): RowSink {
  const maxRows = Math.min(
    limits.maxBlockRows,
    Math.max(1, Math.floor(limits.maxBlockCells / Math.max(1, block.width))),
  );
  const isFull = (): boolean => {
    if (block.rows >= maxRows) return true;
    let bytes = 0;
    for (let column = 0; column < block.width; column++) bytes += block.ends[column] ?? 0;
    return bytes >= limits.maxBlockBytes;
  };
  const sink: RowSink = {
    reader,
    maxRows,
    hasRecord: false,
    *add(records) {
      for (const record of records) {
        sink.hasRecord = true;
        if (rows.addExploded !== undefined) {
          for (const _ of rows.addExploded(record, block)) if (isFull()) yield;
        } else {
          rows.add(record, block);
          if (isFull()) yield;
        }
      }
    },
    heldBytes: () => heldByBlock(block) + reader.heldBytes,
    inRow(error) {
      if (!(error instanceof StageError) || error.stage !== "parse" || !reader.isInRecord)
        return error;
      return error.at({ row: block.firstRow + block.rows });
    },
  };
  return sink;
}
