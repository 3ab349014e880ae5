// AssemblyScript, compiled by `npm run gen` into src/csv/wasm-module.ts. The rules are those of createTokenise in
// src/csv/tokenise.ts, for dialects whose marks are of one byte; src/csv/tokenise-by-wasm.ts lays the memory out.

const LF: u32 = 0x0a;
const CR: u32 = 0x0d;
/** No byte has this value. */
const NONE: u32 = 256;

// What `cut` returns.
const MORE: i32 = 0;
const FULL: i32 = 1;
const NO_ROOM: i32 = 2;
const FAULTY: i32 = 3;
const UNCLOSED: i32 = 4;
const LARGE_RECORD: i32 = 5;
const LARGE_FIELD: i32 = 6;

// A cell in the index: where its bytes begin, and how long its value is with these flags.
const ESCAPED: u32 = 0x4000_0000;
const NULL: u32 = 0x8000_0000;
const LENGTH: u32 = 0x3fff_ffff;

let delimiter: u32 = 0;
let quote: u32 = NONE;
let escapeMark: u32 = NONE;
let isDoubling: bool = false;
let width: u32 = 0;
let nullAt: u32 = 0;
/** -1 when no field is null. */
let nullLength: i32 = -1;
let maxRows: u32 = 0;
let maxBlockBytes: u32 = 0;
let maxRecordBytes: u32 = 0;
let maxFieldBytes: u32 = 0;

/** Complete records of the block. */
export let rows: u32 = 0;
/** Position behind the last of them, and behind blank lines. */
export let position: u32 = 0;
/** Position of the first of them. */
let firstStart: u32 = 0;
/** Of the last record: its fields; the one with text behind its closing quote, from 1; where it stands, without its line end. */
export let fields: u32 = 0;
export let garbled: u32 = 0;
export let recordStart: u32 = 0;
export let recordEnd: u32 = 0;

// Of the quoted field that was taken last: how many escapes stand in it.
let escapes: u32 = 0;

export function configure(
  delimiterByte: u32,
  quoteByte: u32,
  escapeByte: u32,
  doubling: bool,
  columns: u32,
  nullTextAt: u32,
  nullTextLength: i32,
  rowLimit: u32,
  blockLimit: u32,
  recordLimit: u32,
  fieldLimit: u32,
): void {
  delimiter = delimiterByte;
  quote = quoteByte;
  escapeMark = escapeByte;
  isDoubling = doubling;
  width = columns;
  nullAt = nullTextAt;
  nullLength = nullTextLength;
  maxRows = rowLimit;
  maxBlockBytes = blockLimit;
  maxRecordBytes = recordLimit;
  maxFieldBytes = fieldLimit;
}

/** Begins a block. */
export function begin(at: u32): void {
  rows = 0;
  position = at;
}

/**
 * Cuts records from `position` on up to `end`, where a line feed has to stand. `index` has room for `capacity` records, and takes of each where it
 * begins in the entry, which has its byte `base` at address 0, and its `width` cells.
 */
export function cut(end: u32, isLast: bool, base: f64, index: u32, capacity: u32): i32 {
  const delimiters = i8x16.splat(delimiter as i8);
  const feeds = i8x16.splat(LF as i8);
  const returns = i8x16.splat(CR as i8);
  const columns = width;
  let i = position;

  while (i < end) {
    const start = i;
    let c: u32 = load<u8>(i);
    if ((c === LF || c === CR) && columns !== 1) {
      if (c === LF) i += 1;
      else if (i + 1 < end) i += load<u8>(i + 1) === LF ? 2 : 1;
      else if (isLast) i += 1;
      else break;
      position = i;
      continue;
    }
    if (rows === capacity) return NO_ROOM;
    const record = index + rows * (columns + 1) * 8;
    const row = record + 8;
    let count: u32 = 0;
    let bad: u32 = 0;
    // Marks from `chunk` on that are not passed yet, one bit for each byte.
    let chunk = i;
    let marks = marksAt(chunk, delimiters, feeds, returns);
    for (;;) {
      const cell = row + count * 8;
      if (load<u8>(i) === quote) {
        const opened = i;
        i = endOfQuoted(i + 1, end);
        if (i === 0) {
          if (!isLast) return MORE;
          recordStart = opened;
          return UNCLOSED;
        }
        if (count < columns) {
          const length = i - opened - 2 - escapes;
          store<u32>(cell, opened + 1);
          store<u32>(cell, escapes === 0 ? length : length | ESCAPED, 4);
        }
        c = load<u8>(i);
        if (c !== LF && c !== CR && c !== delimiter && bad === 0) bad = count + 1;
        if (bad !== 0) {
          while (c !== LF && c !== CR && c !== delimiter) c = load<u8>(++i);
        }
        chunk = i;
        marks = marksAt(chunk, delimiters, feeds, returns);
      } else {
        const from = i;
        while (marks === 0) {
          chunk += 16;
          marks = marksAt(chunk, delimiters, feeds, returns);
        }
        i = chunk + ctz(marks);
        c = load<u8>(i);
        if (count < columns) {
          const length = i - from;
          store<u32>(cell, from);
          store<u32>(cell, <i32>length === nullLength && isNull(from) ? NULL : length, 4);
        }
      }
      count++;
      if (c !== delimiter) break;
      // The mark at i is the lowest bit.
      marks &= marks - 1;
      i++;
    }
    let next = i + 1;
    if (i >= end || (c === CR && next === end)) {
      if (!isLast) return MORE;
      next = end;
    } else if (c === CR && load<u8>(next) === LF) next++;
    const bytes = next - start;
    if (bytes > maxRecordBytes || bytes > maxFieldBytes) {
      recordStart = start;
      if (bytes > maxRecordBytes) return LARGE_RECORD;
      const last = row + min(count, columns) * 8;
      for (let cell = row; cell < last; cell += 8) {
        const length = load<u32>(cell, 4);
        if ((length & NULL) === 0 && (length & LENGTH) > maxFieldBytes) return LARGE_FIELD;
      }
    }
    store<f64>(record, base + <f64>start);
    if (rows === 0) firstStart = start;
    rows++;
    fields = count;
    position = next;
    if (count !== columns || bad !== 0) {
      for (let column: u32 = 0; column < columns; column++) store<u32>(row + column * 8, NULL, 4);
      garbled = bad;
      recordStart = start;
      recordEnd = i;
      return FAULTY;
    }
    if (isFull()) return FULL;
    i = next;
  }
  return MORE;
}

/** Whether the block is to be closed. */
export function isFull(): bool {
  return rows !== 0 && (rows === maxRows || position - firstStart >= maxBlockBytes);
}

function marksAt(at: u32, delimiters: v128, feeds: v128, returns: v128): u32 {
  const bytes = v128.load(at);
  return i8x16.bitmask(
    v128.or(i8x16.eq(bytes, delimiters), v128.or(i8x16.eq(bytes, feeds), i8x16.eq(bytes, returns))),
  );
}

function isNull(at: u32): bool {
  for (let k: u32 = 0; k < <u32>nullLength; k++) {
    if (load<u8>(at + k) !== load<u8>(nullAt + k)) return false;
  }
  return true;
}

/** Position behind the closing quote of the field whose value begins at `at`; 0 when it is not before `end`. */
function endOfQuoted(at: u32, end: u32): u32 {
  const quotes = i8x16.splat(quote as i8);
  // With doubling the escape is found as a quote that another one follows.
  const other = isDoubling || escapeMark === NONE ? quote : escapeMark;
  const others = i8x16.splat(other as i8);
  escapes = 0;
  let i = at;
  while (i < end) {
    const bytes = v128.load(i);
    const found = i8x16.bitmask(v128.or(i8x16.eq(bytes, quotes), i8x16.eq(bytes, others)));
    if (found === 0) {
      i += 16;
      continue;
    }
    i += ctz(found);
    if (i >= end) return 0;
    const c: u32 = load<u8>(i);
    if (c !== quote) {
      if (i + 1 >= end) return 0;
      escapes++;
      i += 2;
    } else if (isDoubling && load<u8>(i + 1) === quote) {
      escapes++;
      i += 2;
    } else return i + 1;
  }
  return 0;
}

/**
 * Writes the columns of the block to `out` and returns the position behind them. `table` takes five numbers for each column: addresses of its
 * offsets, its data and its null bitmap (0 when no cell is null), bytes of its data, and its nulls. Up to 15 bytes behind may be overwritten.
 */
export function fill(index: u32, table: u32, out: u32): u32 {
  const columns = width;
  const count = rows;
  const stride = (columns + 1) * 8;
  let at = out;
  for (let column: u32 = 0; column < columns; column++) {
    const offsets = at;
    const data = offsets + (count + 1) * 4;
    let to = data;
    let nulls: u32 = 0;
    let cell = index + (column + 1) * 8;
    store<u32>(offsets, 0);
    for (let row: u32 = 1; row <= count; row++, cell += stride) {
      const from = load<u32>(cell);
      const length = load<u32>(cell, 4);
      if (length <= 16) {
        v128.store(to, v128.load(from));
        to += length;
      } else if ((length & (NULL | ESCAPED)) === 0) {
        copy(to, from, length);
        to += length;
      } else if (length & NULL) nulls++;
      else {
        copyUnescaped(to, from, length & LENGTH);
        to += length & LENGTH;
      }
      store<u32>(offsets + row * 4, to - data);
    }
    let bits: u32 = 0;
    at = to;
    if (nulls !== 0) {
      bits = at;
      at += (count + 7) >> 3;
      fillBits(bits, index + (column + 1) * 8, stride);
    }
    const entry = table + column * 20;
    store<u32>(entry, offsets);
    store<u32>(entry, data, 4);
    store<u32>(entry, bits, 8);
    store<u32>(entry, to - data, 12);
    store<u32>(entry, nulls, 16);
    at = (at + 7) & ~7;
  }
  return at;
}

function fillBits(bits: u32, first: u32, stride: u32): void {
  let cell = first;
  let byte: u32 = 0;
  for (let row: u32 = 0; row < rows; row++, cell += stride) {
    if ((load<u32>(cell, 4) & NULL) === 0) byte |= 1 << (row & 7);
    if ((row & 7) === 7) {
      store<u8>(bits + (row >> 3), byte);
      byte = 0;
    }
  }
  if ((rows & 7) !== 0) store<u8>(bits + (rows >> 3), byte);
}

function copy(to: u32, from: u32, length: u32): void {
  if (length > 256) memory.copy(to, from, length);
  else for (let k: u32 = 0; k < length; k += 16) v128.store(to + k, v128.load(from + k));
}

/** Copies a value of `length` bytes without the escapes in front of its bytes. */
function copyUnescaped(to: u32, from: u32, length: u32): void {
  const mark = isDoubling ? quote : escapeMark;
  const marks = i8x16.splat(mark as i8);
  const end = to + length;
  let i = from;
  let o = to;
  while (o < end) {
    const bytes = v128.load(i);
    v128.store(o, bytes);
    const found = i8x16.bitmask(i8x16.eq(bytes, marks));
    if (found === 0) {
      i += 16;
      o += 16;
      continue;
    }
    const before = ctz(found);
    o += before;
    i += before + 1;
    if (o >= end) break;
    store<u8>(o, load<u8>(i));
    o++;
    i++;
  }
}
