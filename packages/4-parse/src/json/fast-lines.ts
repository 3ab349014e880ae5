import { appendCells, appendNulls, growRows } from "../blocks/block-builder.ts";
import { reserve } from "../webassembly/module-pool.ts";
import type { Window } from "../window/window.ts";
import type { FieldTrees } from "./field-tree.ts";
import type { JsonLimits } from "./limits.ts";
import { type LineScanner, lineScanners } from "./line-scanner.ts";
import { areSimple, countNames, sizeOfTables, writeTables } from "./line-tables.ts";
import type { Rows } from "./rows.ts";
import { NUL } from "./scan.ts";

/** Takes lines whose members' names are known, many at a time, in WebAssembly. */
export interface FastLines {
  /** Bytes of memory that it works with. */
  readonly bytes: number;
  /**
   * Takes lines from the window's start on as far as it is sure of them. True when the block is full; else the line at the
   * window's start is to be cut in JavaScript, which also learns its names.
   */
  take(window: Window): boolean;
  /** Gives its memory back. */
  close(): void;
}

/** Bytes that are copied to the scanner at once: a piece of the source, and a line that began before it. */
const INPUT_BYTES = 320 * 1024;
/** Of all columns together, between two calls. */
const CELL_BYTES = 1 << 20;
const CELLS = 1 << 16;
const MAX_ROWS = 4096;
const MAX_WIDTH = 512;
const MAX_DEPTH = 1024;
/** Behind what is written 16 bytes at a time. */
const SLACK = 64;
const COLUMN_BYTES = 64;
const LARGEST = 2 ** 30;

// What `scanStatus` says.
const WANTS_MORE = 0;
const ROOM = 1;
const BLOCK = 2;

/** What a line costs that the scanner looked at and left, in lines that it takes. */
const LEFT_COST = 8;
const MOST_CREDIT = 256;
const FIRST_PAUSE = 256;
const LAST_PAUSE = 1 << 20;

/** Undefined when the fields are none for it. */
export function createFastLines(
  rows: Rows,
  trees: FieldTrees,
  limits: JsonLimits,
): FastLines | undefined {
  const { block, notes } = rows;
  const { width } = block;
  if (width === 0 || width > MAX_WIDTH || !areSimple(trees)) return undefined;
  const roomRows = Math.max(64, Math.min(MAX_ROWS, Math.floor(CELLS / width)));
  const cellBytes = Math.floor(CELL_BYTES / width) & ~15;
  const depth = Math.min(limits.maxDepth, MAX_DEPTH);
  const isShared = new Set(trees.element === undefined ? [] : trees.recordColumns);

  let scanner: LineScanner | undefined;
  let memory = Buffer.alloc(0);
  let words = new Int32Array(0);
  let input = 0;
  let columns = 0;
  let byteOffsets = 0;
  let tables = 0;
  let scratch = 0;
  let closers = 0;
  /** How many names the tables were written of. */
  let names = -1;
  let isStale = true;
  /** What the input holds of the file. */
  let heldFrom = 0;
  let heldTo = 0;
  let credit = MOST_CREDIT;
  /** Lines that are cut in JavaScript before it is tried again. */
  let pause = 0;
  let nextPause = FIRST_PAUSE;

  /** Lays the memory out for this file's width; the tables come last. */
  function open(): LineScanner {
    const opened = lineScanners.take();
    let end = (opened.heapBase() + 15) & ~15;
    const take = (bytes: number): number => {
      const at = end;
      end += (bytes + 15) & ~15;
      return at;
    };
    input = take(INPUT_BYTES + SLACK);
    scratch = take(INPUT_BYTES + SLACK);
    closers = take((depth + 2) * 8);
    byteOffsets = take(roomRows * 8);
    columns = take(width * COLUMN_BYTES);
    const data = take(width * (cellBytes + SLACK));
    const offsets = take(width * (roomRows + 1) * 4);
    const bits = take(width * Math.ceil(roomRows / 8));
    tables = end;
    reserve(opened, end + sizeOfTables(trees));
    view(opened);
    for (let column = 0; column < width; column++) {
      const from = data + column * (cellBytes + SLACK);
      const place = (columns + column * COLUMN_BYTES) >> 2;
      words.fill(0, place, place + COLUMN_BYTES / 4);
      words[place] = from;
      words[place + 1] = from + cellBytes;
      words[place + 4] = offsets + column * (roomRows + 1) * 4;
      words[place + 5] = bits + column * Math.ceil(roomRows / 8);
      words[place + 10] = isShared.has(column) ? 1 : 0;
    }
    const record = Math.min(
      limits.maxRecordBytes,
      limits.maxValueBytes,
      limits.maxRowBytes,
      LARGEST,
    );
    const keyBytes = Math.min(limits.maxKeyBytes, LARGEST);
    const keys = Math.min(limits.maxKeys, LARGEST);
    opened.setLimits(record, keyBytes, keys, depth, limits.maxExplodedBytes);
    return opened;
  }
  function view({ memory: { buffer } }: LineScanner): void {
    memory = Buffer.from(buffer);
    words = new Int32Array(buffer);
  }

  function learn(opened: LineScanner): void {
    isStale = false;
    const known = countNames(trees);
    if (known === names && opened.stampCount() < LARGEST) return;
    names = known;
    reserve(opened, tables + sizeOfTables(trees));
    if (memory.buffer !== opened.memory.buffer) view(opened);
    const { record, element } = writeTables(trees, memory, tables);
    for (let column = 0; column < width; column++) {
      words[((columns + column * COLUMN_BYTES) >> 2) + 7] = 0;
    }
    opened.setLayout(columns, width, record, element, byteOffsets, scratch, closers);
  }

  /** Copies what is left of the window, as far as there is room, unless it is there already. */
  function hold({ bytes, base, start, end }: Window): void {
    const from = base + start;
    const isEnough = heldTo === base + end || heldTo - from > INPUT_BYTES / 2;
    if (from >= heldFrom && from < heldTo && isEnough) return;
    const length = Math.min(end - start, INPUT_BYTES);
    memory.set(bytes.subarray(start, start + length), input);
    memory[input + length] = NUL;
    heldFrom = from;
    heldTo = from + length;
  }

  /** Puts the rows that the scanner made into the block. */
  function move(opened: LineScanner): void {
    const count = opened.rowCount();
    notes.unexploded += opened.unexplodedCount();
    if (notes.missing.length > 0) tellMissing();
    if (count === 0) return;
    while (block.rows + count >= block.byteOffsets.length) growRows(block);
    for (let column = 0; column < width; column++) moveColumn(column, count);
    const { buffer } = memory;
    block.byteOffsets.set(new Float64Array(buffer, byteOffsets, count), block.rows);
    block.rows += count;
  }

  function moveColumn(column: number, count: number): void {
    const place = (columns + column * COLUMN_BYTES) >> 2;
    const from = words[place] as number;
    const offsets = ((words[place + 4] as number) >> 2) + 1;
    appendCells(
      block,
      column,
      memory.subarray(from, words[place + 2]),
      words.subarray(offsets, offsets + count),
    );
    if (words[place + 9] === 0) return;
    const bits = words[place + 5] as number;
    appendNulls(block, column, memory.subarray(bits, bits + Math.ceil(count / 8)), count);
  }

  function tellMissing(): void {
    const { missing } = notes;
    let left = 0;
    for (const column of missing) {
      if (words[((columns + column * COLUMN_BYTES) >> 2) + 6] === 0) missing[left++] = column;
    }
    missing.length = left;
  }

  function leave(): void {
    isStale = true;
    credit -= LEFT_COST;
    if (credit > 0) return;
    credit = MOST_CREDIT;
    pause = nextPause;
    nextPause = Math.min(nextPause * 2, LAST_PAUSE);
  }

  return {
    get bytes() {
      return scanner?.memory.buffer.byteLength ?? 0;
    },
    take(window) {
      if (pause > 0) {
        pause--;
        return false;
      }
      scanner ??= open();
      if (isStale) learn(scanner);
      for (;;) {
        hold(window);
        const at = window.base + window.start;
        for (let column = 0; column < width; column++) {
          words[((columns + column * COLUMN_BYTES) >> 2) + 3] = block.ends[column] as number;
        }
        const behind = scanner.scan(
          input + (at - heldFrom),
          input + (heldTo - heldFrom),
          heldFrom - input,
          roomRows,
          rows.maxRows - block.rows,
          block.rows > 0 ? (block.byteOffsets[0] as number) : -1,
          limits.maxBlockBytes,
        );
        const status = scanner.scanStatus();
        credit = Math.min(MOST_CREDIT, credit + scanner.rowCount());
        move(scanner);
        const taken = heldFrom + (behind - input) - at;
        window.start += taken;
        if (scanner.rowCount() > 0) rows.setFull(status === BLOCK);
        if (status === BLOCK) return true;
        if (status === ROOM) continue;
        if (status === WANTS_MORE) {
          if (taken > 0 && heldTo < window.base + window.end) continue;
        } else leave();
        return false;
      }
    },
    close() {
      if (scanner !== undefined) lineScanners.giveBack(scanner);
      scanner = undefined;
    },
  };
}
