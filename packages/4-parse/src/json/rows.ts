import { StageError } from "@sluice/errors";
import {
  appendBytes,
  type BlockBuilder,
  createBlockBuilder,
  endRecord,
  placeOf,
  rollBack,
  setNull,
} from "../blocks/block-builder.ts";
import type { Window } from "../window/window.ts";
import { beginRow, type Cells, createCells, createSharedCells } from "./cells.ts";
import { addRefused } from "./fault.ts";
import type { FieldTrees } from "./field-tree.ts";
import { createNotes, type Notes, note } from "./findings.ts";
import { CLOSE_BRACKET, COMMA, OPEN_BRACKET, type Scan, skipSpace } from "./scan.ts";
import { scanValue } from "./scan-record.ts";

/** Makes rows of records, and blocks of rows. */
export interface Rows {
  readonly block: BlockBuilder;
  readonly notes: Notes;
  /** Up to here the file is known to be UTF-8. */
  checkedTo: number;
  /** Where a line begins of which a part has left the window already; Infinity without one. */
  passedFrom: number;
  /** Scans a record; its cells wait for `commit` or `giveUp`. `depth` containers are open around it. */
  scan(bytes: Uint8Array, from: number, depth: number): number;
  /** What was scanned last, `from` to `to` in the window, is a record: its row is written, or its rows wait. */
  commit(window: Window, from: number, to: number): void;
  /** What was scanned last is no record, or not all of one yet. */
  giveUp(): void;
  /** Writes the rows that wait, out of the same window, until there are none or the block is full. */
  flush(window: Window): void;
  /** Whether rows wait: the window has to stay as it is. */
  readonly isWaiting: boolean;
  /** Whether the block has to be taken before the next row. */
  readonly isFull: boolean;
  /** Rows that a block may have. */
  readonly maxRows: number;
  /** Somebody else wrote the last rows; whether they make the block full. */
  setFull(isBlockFull: boolean): void;
  /** A record that is refused gives a row without cells; `to` is the position behind it. */
  refuse(
    window: Window,
    from: number,
    to: number,
    code: "malformed" | "record_too_large",
    message: string,
  ): void;
}

/** `names` are the columns', for messages. */
export function createRows(scan: Scan, trees: FieldTrees, names: readonly string[]): Rows {
  const { limits } = scan;
  const { element, recordColumns, elementColumns } = trees;
  const width = names.length;
  const block = createBlockBuilder(width);
  const cells = createCells(block);
  const notes = createNotes(width);
  const record = element === undefined ? cells : createSharedCells(width);
  const maxRows = Math.min(
    limits.maxBlockRows,
    Math.max(1, Math.floor(limits.maxBlockCells / Math.max(1, width))),
  );
  let isFull = false;
  // The exploded array: its next element, or -1; and what is behind the record.
  let at = -1;
  let isArray = false;
  let explodedBytes = 0;
  let isDuplicateCounted = false;

  function countDuplicate(from: Cells): void {
    if (!from.hasDuplicate || isDuplicateCounted) return;
    isDuplicateCounted = true;
    notes.duplicates++;
  }

  /** Completes the row that `cells` has, whose own columns are `columns`. */
  function endRow(window: Window, from: number, to: number, columns: readonly number[]): void {
    const broken = cells.broken.size > 0 ? cells.broken : record.broken;
    if (broken.size > 0) {
      const name = names[Math.min(...broken)];
      const message = `field ${name}: an escape stands for half a character, a surrogate without its other half`;
      refuse(window, from, to, "malformed", message);
      return;
    }
    const { rows, row } = cells;
    for (let k = 0; k < columns.length; k++) {
      const column = columns[k] as number;
      if (rows[column] !== row) setNull(block, column);
    }
    endRecord(block, window.base + from);
    closeIfFull(window.base + to);
  }

  function refuse(
    window: Window,
    from: number,
    to: number,
    code: "malformed" | "record_too_large",
    message: string,
  ): void {
    addRefused(block, window.base + from, code, message, window.bytes.subarray(from, to));
    closeIfFull(window.base + to);
  }

  function closeIfFull(position: number): void {
    let bytes = 0;
    for (let column = 0; column < width; column++) bytes += block.ends[column] as number;
    isFull =
      block.rows >= maxRows ||
      bytes >= limits.maxBlockBytes ||
      position - (block.byteOffsets[0] as number) >= limits.maxBlockBytes;
  }

  function explode(window: Window): void {
    const { bytes } = window;
    const { explodedFrom } = record;
    isArray = explodedFrom >= 0 && bytes[explodedFrom] === OPEN_BRACKET;
    at = isArray ? skipSpace(scan, bytes, explodedFrom + 1) : explodedFrom;
    explodedBytes = 0;
    if (at >= 0 && (!isArray || bytes[at] !== CLOSE_BRACKET)) return;
    notes.unexploded++;
    at = -1;
    rollBack(record.block, width);
  }

  /** The row of the element at `at`, and on to the next one. */
  function takeElement(window: Window): void {
    if (element === undefined) return;
    const { bytes } = window;
    beginRow(cells);
    const end = scanValue(scan, cells, element, bytes, at, 0);
    explodedBytes += cells.bytes + record.bytes;
    if (end < 0) throw tooLarge(window, scan.reason);
    if (cells.bytes + record.bytes > limits.maxRowBytes) {
      throw tooLarge(window, `more than maxRowBytes = ${limits.maxRowBytes} bytes in a row`);
    }
    if (explodedBytes > limits.maxExplodedBytes) {
      const limit = `maxExplodedBytes = ${limits.maxExplodedBytes}`;
      throw tooLarge(window, `more than ${limit} bytes in the rows of one record`);
    }
    note(notes, cells);
    countDuplicate(cells);
    for (const column of recordColumns) {
      const isNull = record.rows[column] !== record.row || isNullCell(record.block, column);
      const data = record.block.data[column];
      if (isNull) setNull(block, column);
      else if (data !== undefined) {
        appendBytes(block, column, data, 0, record.block.ends[column] as number);
      }
    }
    endRow(window, at, end, elementColumns);
    const next = skipSpace(scan, bytes, end);
    if (isArray && bytes[next] === COMMA) {
      at = skipSpace(scan, bytes, next + 1);
    } else {
      at = -1;
      rollBack(record.block, width);
    }
  }

  function tooLarge(window: Window, message: string): StageError {
    const place = placeOf(block, block.rows, window.base + at);
    return new StageError("parse", "record_too_large", message, place);
  }

  return {
    block,
    notes,
    checkedTo: 0,
    passedFrom: Number.POSITIVE_INFINITY,
    scan(bytes, from, depth) {
      beginRow(record);
      return scanValue(scan, record, trees.record, bytes, from, depth);
    },
    commit(window, from, to) {
      note(notes, record);
      isDuplicateCounted = false;
      countDuplicate(record);
      if (element === undefined) endRow(window, from, to, recordColumns);
      else explode(window);
    },
    giveUp() {
      rollBack(record.block, width);
    },
    flush(window) {
      while (at >= 0 && !this.isFull) takeElement(window);
    },
    get isWaiting() {
      return at >= 0;
    },
    get isFull() {
      // Taking the block is what empties it.
      return isFull && block.rows > 0;
    },
    maxRows,
    setFull(isBlockFull) {
      isFull = isBlockFull;
    },
    refuse,
  };
}

function isNullCell(block: BlockBuilder, column: number): boolean {
  return ((block.validity[column]?.[0] ?? 0xff) & 1) === 0;
}
