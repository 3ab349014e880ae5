import { isAscii, isUtf8 } from "node:buffer";
import { appendCells, appendNulls, type BlockBuilder, growRows } from "../blocks/block-builder.ts";
import { firstInvalidUtf8, wholeUtf8 } from "../encoding/charset.ts";
import { reserve } from "../webassembly/module-pool.ts";
import { createKnownNames, MAX_NAMES, SPELLING_BYTES } from "./known-names.ts";
import type { XmlLimits } from "./limits.ts";
import { toValue } from "./marks.ts";
import type { Names } from "./names.ts";
import type { OpenElements } from "./open-elements.ts";
import { toPlaces } from "./places.ts";
import type { RecordPath } from "./record-path.ts";
import type { RecordReader, XmlRecord } from "./record-reader.ts";
import {
  BLOCK,
  IS_KNOWN_ATTRIBUTE,
  IS_KNOWN_ELEMENT,
  MARKS,
  NAME,
  NAME_BYTES,
  ROOM,
  recordScanners,
  WANTS_MORE,
} from "./record-scanner.ts";
import type { Rows } from "./rows.ts";

/** Holds the bytes of a document in UTF-8 that nobody has read yet, and takes records of them in WebAssembly. */
export interface FastRecords {
  /** Bytes of memory that it works with. */
  readonly bytes: number;
  /** Those that are held, and where they begin in the file. */
  readonly held: Buffer;
  readonly byteOffset: number;
  /** Puts bytes behind those that are held; gives how many there was room for. */
  append(bytes: Uint8Array, reader: RecordReader): number;
  /**
   * Takes records, of which the first may begin where the held bytes do, as far as it is sure of them: "full" when the block is; "more" when a record
   * is not whole; "left" when something stands there that is for saxes. A record is one whose row is not made yet.
   */
  take(reader: RecordReader, isEnd: boolean): "full" | "more" | "left" | XmlRecord;
  /** Records that became rows in the last `take`. */
  readonly taken: number;
  /** Tells the reader how far records were taken: before it reads on. */
  settle(reader: RecordReader): void;
  /** Lets go of bytes that somebody else has read. */
  drop(count: number): void;
  /** Gives its memory back. */
  close(): void;
}

/** What a document's records are read by. */
export interface Reading {
  readonly rows: Rows;
  readonly names: Names;
  readonly elements: OpenElements;
  readonly path: RecordPath;
  readonly limits: XmlLimits;
}

/** A record that is larger is left to saxes. */
const INPUT_BYTES = 256 * 1024;
const MARK_BYTES = 256 * 1024;
const NAMES_BYTES = MAX_NAMES * NAME_BYTES;
const SLOTS_BYTES = MAX_NAMES * 2 * 4;
/** Of all columns together, between two calls. */
const CELL_BYTES = 1 << 20;
const CELLS = 1 << 16;
const MAX_ROWS = 4096;
const MAX_WIDTH = 512;
const MAX_DEPTH = 1024;
const LEVEL_BYTES = 16;
/** Bytes are read and written 16 at a time, also over the end. */
const SLACK = 64;
const COLUMN_BYTES = 64;
const LARGEST = 2 ** 30;
/** New names of one record: with more of them it is left, since each makes it begin anew. */
const MAX_NEW_NAMES = 256;

export function createFastRecords(
  { rows, names, elements, path, limits }: Reading,
  block: BlockBuilder,
  maxRows: number,
): FastRecords {
  const scanner = recordScanners.take();
  const isWide = block.width > MAX_WIDTH;
  const record = rows.columns === undefined || isWide ? undefined : toPlaces(rows.columns);
  const known = createKnownNames(scanner, record, names, path, limits.maxNameBytes);
  const width = known.bytes === 0 ? 0 : block.width;
  const roomRows = Math.max(64, Math.min(MAX_ROWS, Math.floor(CELLS / Math.max(1, width))));
  const cellBytes = Math.floor(CELL_BYTES / Math.max(1, width)) & ~15;
  const depth = Math.min(limits.maxDepth, MAX_DEPTH);

  let top = (scanner.heapBase() + 15) & ~15;
  const room = (bytes: number): number => {
    const from = top;
    top += (bytes + 15) & ~15;
    return from;
  };
  const input = room(INPUT_BYTES + SLACK);
  const nameTable = room(NAMES_BYTES);
  const slots = room(SLOTS_BYTES);
  const spellings = room(SPELLING_BYTES + SLACK);
  const levels = room((depth + 2) * LEVEL_BYTES);
  const marks = room(MARK_BYTES);
  const marksEnd = room((depth + 2) * LEVEL_BYTES);
  const byteOffsets = room(roomRows * 8);
  const columns = room(width * COLUMN_BYTES);
  const data = room(width * (cellBytes + SLACK));
  const offsets = room(width * (roomRows + 1) * 4);
  const bitBytes = Math.ceil(roomRows / 8);
  const bits = room(width * bitBytes);
  const tables = room(known.bytes);
  reserve(scanner, top + SLACK);
  const memory = Buffer.from(scanner.memory.buffer);
  const words = new Int32Array(scanner.memory.buffer);

  const layOut = (): void => {
    words.fill(0, columns >> 2, (columns + width * COLUMN_BYTES) >> 2);
    words.fill(0, tables >> 2, top >> 2);
    for (let column = 0; column < width; column++) {
      const from = data + column * (cellBytes + SLACK);
      const place = (columns + column * COLUMN_BYTES) >> 2;
      words[place] = from;
      words[place + 1] = from + cellBytes;
      words[place + 4] = offsets + column * (roomRows + 1) * 4;
      words[place + 5] = bits + column * bitBytes;
    }
    const place = known.write(tables, words);
    scanner.setLayout(
      nameTable,
      MAX_NAMES,
      slots,
      spellings,
      spellings + SPELLING_BYTES,
      levels,
      marks,
      marksEnd,
      columns,
      width,
      byteOffsets,
      place,
    );
  };
  layOut();
  scanner.setLimits(
    depth,
    Math.min(limits.maxAttributes, LARGEST),
    Math.min(limits.maxMembers, LARGEST),
    // No text or tag of a record is longer than the record.
    Math.min(limits.maxRecordBytes, limits.maxTextLength, LARGEST),
    Math.min(limits.maxRowBytes, LARGEST),
  );

  /** What is held of the file, and how far records of it were taken that the reader was not told of. */
  let at = input;
  let end = input;
  let settled = input;
  /** Where byte 0 of the memory would stand in the file. */
  let base = -input;
  /** How far it is known to be UTF-8 of characters that may stand in a document, and whether what follows is none. */
  let sound = input;
  let isUnsound = false;
  let isPlain = true;
  /** With less than this it is not tried again: long records would be scanned over and over. */
  let wanted = 1;
  let taken = 0;

  /** Looks at the characters of what is held. */
  const check = (): void => {
    if (sound <= at) isPlain = true;
    const from = Math.max(sound, at);
    if (isUnsound || from === end) return;
    const fresh = memory.subarray(from, end);
    sound = end;
    if (!isAscii(fresh)) {
      isPlain = false;
      const whole = wholeUtf8(fresh);
      isUnsound = !isUtf8(fresh.subarray(0, whole));
      sound = from + (isUnsound ? firstInvalidUtf8(fresh, 0, whole) : whole);
    }
    const checked = scanner.checked(from, sound);
    if (checked === sound) return;
    isUnsound = true;
    sound = checked;
  };

  const scan = (openElements: number): number => {
    let cells = 0;
    for (let column = 0; column < block.width; column++) {
      const taken = block.ends[column] as number;
      cells += taken;
      if (width > 0) words[((columns + column * COLUMN_BYTES) >> 2) + 3] = taken;
    }
    const behind = memory[sound] as number;
    memory[sound] = 0;
    at = scanner.scan(
      at,
      sound,
      base,
      openElements,
      width === 0 ? 1 : roomRows,
      maxRows - block.rows,
      limits.maxBlockBytes - cells,
    );
    memory[sound] = behind;
    return scanner.scanStatus();
  };

  /** Puts the rows that the scanner made into the block. */
  const move = (count: number): void => {
    rows.noteRecords(count);
    while (block.rows + count >= block.byteOffsets.length) growRows(block);
    for (let column = 0; column < width; column++) {
      const place = (columns + column * COLUMN_BYTES) >> 2;
      const from = words[place] as number;
      const ends = ((words[place + 4] as number) >> 2) + 1;
      const cells = memory.subarray(from, words[place + 2]);
      appendCells(block, column, cells, words.subarray(ends, ends + count));
      if (words[place + 8] !== 0) {
        const own = words[place + 5] as number;
        appendNulls(block, column, memory.subarray(own, own + Math.ceil(count / 8)), count);
      }
      if (words[place + 6] !== 0) rows.noteSeen(column);
    }
    block.byteOffsets.set(new Float64Array(memory.buffer, byteOffsets, count), block.rows);
    block.rows += count;
  };

  const toRecord = (): XmlRecord => {
    names.trim();
    const value = toValue(
      {
        memory,
        words,
        from: marks,
        to: scanner.endOfMarks(),
        isAscii: isPlain,
        nameAt: known.nameAt,
        onMember: (address, isAttribute) =>
          known.setKnown(address, isAttribute ? IS_KNOWN_ATTRIBUTE : IS_KNOWN_ELEMENT),
      },
      elements,
    );
    at = scanner.recordEnd();
    return { value, byteOffset: base + scanner.recordStart() };
  };

  const settle = (reader: RecordReader): void => {
    if (settled === at) return;
    const lines = scanner.countLines(settled, at);
    reader.passOver(base + at, lines, scanner.columnBehind());
    settled = at;
  };
  /** Moves what is held to the front. */
  const moveUp = (reader: RecordReader): void => {
    if (at === input) return;
    settle(reader);
    memory.copyWithin(input, at, end);
    const moved = at - input;
    base += moved;
    end -= moved;
    sound = Math.max(sound - moved, input);
    at = input;
    settled = input;
  };

  return {
    bytes: memory.byteLength,
    get held() {
      return memory.subarray(at, end);
    },
    get byteOffset() {
      return base + at;
    },
    append(bytes, reader) {
      moveUp(reader);
      const part = bytes.subarray(0, input + INPUT_BYTES - end);
      memory.set(part, end);
      end += part.byteLength;
      return part.byteLength;
    },
    get taken() {
      return taken;
    },
    take(reader, isEnd) {
      taken = 0;
      if (end - at < wanted && !isEnd) return "more";
      if (scanner.stampCount() > LARGEST) layOut();
      check();
      let newNames = 0;
      for (;;) {
        const status = scan(reader.depth);
        const count = scanner.rowCount();
        if (count > 0) move(count);
        taken += count;
        wanted = 1;
        if (status === BLOCK) return "full";
        if (status === MARKS) return toRecord();
        if (status === ROOM) continue;
        if (status === NAME && newNames++ < MAX_NEW_NAMES) {
          if (known.learn(memory, scanner.newNameStart(), scanner.newNameEnd())) continue;
        }
        if (status !== WANTS_MORE || isEnd || isUnsound || end - at === INPUT_BYTES) return "left";
        wanted = Math.min(INPUT_BYTES, (end - at) * 2);
        return "more";
      }
    },
    settle,
    drop(count) {
      at += count;
      settled = at;
      sound = Math.max(sound, at);
      wanted = 1;
    },
    close: () => recordScanners.giveBack(scanner),
  };
}
