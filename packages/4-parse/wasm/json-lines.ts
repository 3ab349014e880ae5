/**
 * AssemblyScript: takes lines of JSON whose members' names are known, from bytes to columns. It knows no errors and no findings: whatever it
 * is not sure to judge as src/json does, it leaves, whole lines at a time, to src/json. What it is given and gives stands in src/json/fast-lines.ts.
 */

// A place in a record that paths lead to or through.
const NODE_COLUMN: u32 = 0; // the column that takes the value here, -1 for none
const NODE_NAMES: u32 = 4; // how members' names lead on: 0 for nowhere
const NODE_HOLDER: u32 = 8; // the object whose member has led here last
const NODE_FLAGS: u32 = 12;
const EXPLODED: i32 = 1;
const HAS_ELEMENTS: i32 = 2;

// The names below a place: the spelling that an object began with last, and all of them.
const NAMES_FIRST: u32 = 0;
const NAMES_COUNT: u32 = 4;
const NAMES_SPELLINGS: u32 = 8;

const SPELLING_NEXT: u32 = 0;
const SPELLING_BYTES: u32 = 4;
const SPELLING_LENGTH: u32 = 8; // with the closing quote
const SPELLING_MEMBER: u32 = 12;
const SPELLING_SIZE: u32 = 16;

const MEMBER_OBJECT: u32 = 0; // the object that had it last
const MEMBER_NODE: u32 = 4; // 0: no field takes it

const COLUMN_DATA: u32 = 0;
const COLUMN_LIMIT: u32 = 4;
const COLUMN_END: u32 = 8;
const COLUMN_BASE: u32 = 12; // what the block has of the column already
const COLUMN_OFFSETS: u32 = 16;
const COLUMN_BITS: u32 = 20;
const COLUMN_HAD: u32 = 24; // whether any record had it
const COLUMN_ROW: u32 = 28; // the row under construction that has a value here
const COLUMN_IS_NULL: u32 = 32;
const COLUMN_HAS_NULLS: u32 = 36;
const COLUMN_IS_SHARED: u32 = 40; // stands beside the exploded array
const COLUMN_FROM: u32 = 44; // of a shared value
const COLUMN_TO: u32 = 48;
const COLUMN_RECORD_END: u32 = 52; // where the column ended when the record began
const COLUMN_SIZE: u32 = 64;

// Why scan() returned.
const WANTS_MORE: i32 = 0; // the line at its result is not whole
const ROOM: i32 = 1; // nothing fits any more: to be taken and called again
const BLOCK: i32 = 2; // the last row closes the block
const LEFT: i32 = 3; // the line at its result is not for here

let columns: u32 = 0;
let width: i32 = 0;
let recordNode: u32 = 0;
let elementNode: u32 = 0;
let byteOffsets: u32 = 0;
let scratch: u32 = 0;
let closers: u32 = 0;

let maxRecordBytes: i32 = 0;
let maxKeyBytes: i32 = 0;
let maxKeys: i32 = 0;
let maxDepth: i32 = 0;
let maxExplodedBytes: f64 = 0;

let stamp: i32 = 0; // numbers objects
let row: i32 = 0; // numbers rows, and records of which rows are made
let hasEscapes: bool = false;
let failedAt: u32 = 0;
let scratchEnd: u32 = 0;
let explodedFrom: u32 = 0;
let _explodedTo: u32 = 0;
let cellBytes: i32 = 0;
let isRoomLeft: bool = true;
let isRecordPass: bool = false;

let rows: i32 = 0;
let unexploded: i32 = 0;
let status: i32 = 0;

export function heapBase(): u32 {
  return <u32>__heap_base;
}

export function setLayout(
  columnsAt: u32,
  columnCount: i32,
  record: u32,
  element: u32,
  offsetsAt: u32,
  scratchAt: u32,
  closersAt: u32,
): void {
  columns = columnsAt;
  width = columnCount;
  recordNode = record;
  elementNode = element;
  byteOffsets = offsetsAt;
  scratch = scratchAt;
  closers = closersAt;
  stamp = 0;
  row = 0;
}

export function setLimits(record: i32, keyBytes: i32, keys: i32, depth: i32, exploded: f64): void {
  maxRecordBytes = record;
  maxKeyBytes = keyBytes;
  maxKeys = keys;
  maxDepth = depth;
  maxExplodedBytes = exploded;
}

export function rowCount(): i32 {
  return rows;
}

export function unexplodedCount(): i32 {
  return unexploded;
}

export function scanStatus(): i32 {
  return status;
}

export function stampCount(): i32 {
  return max(stamp, row);
}

function fail(at: u32): u32 {
  failedAt = at;
  return 0;
}

function skipSpace(from: u32): u32 {
  let i = from;
  while (true) {
    const c = load<u8>(i);
    if (c !== 0x20 && c !== 0x09) return i;
    i++;
  }
}

/** From `from` on, the first byte that is no character of a string as it stands. */
function skipPlain(from: u32): u32 {
  let i = from;
  while (true) {
    const v = v128.load(i);
    const stops = v128.or(
      v128.or(i8x16.eq(v, i8x16.splat(0x22)), i8x16.eq(v, i8x16.splat(0x5c))),
      i8x16.lt_u(v, i8x16.splat(0x20)),
    );
    const mask = i8x16.bitmask(stops);
    if (mask !== 0) return i + ctz(mask);
    i += 16;
  }
}

function isHex(c: u8): bool {
  return <u8>(c - 0x30) < 10 || <u8>((c | 0x20) - 0x61) < 6;
}

/** The closing quote of the string whose content begins at `from`; 0 when it breaks the grammar. */
function endOfString(from: u32): u32 {
  const i = skipPlain(from);
  hasEscapes = false;
  return load<u8>(i) === 0x22 ? i : endOfEscaped(i);
}

function endOfEscaped(from: u32): u32 {
  let i = from;
  while (load<u8>(i) === 0x5c) {
    const kind = load<u8>(i + 1);
    switch (kind) {
      case 0x22:
      case 0x5c:
      case 0x2f:
      case 0x62:
      case 0x66:
      case 0x6e:
      case 0x72:
      case 0x74:
        i += 2;
        break;
      case 0x75:
        for (let k: u32 = 2; k < 6; k++) if (!isHex(load<u8>(i + k))) return fail(i + k);
        i += 6;
        break;
      default:
        return fail(i + 1);
    }
    i = skipPlain(i);
  }
  hasEscapes = true;
  return load<u8>(i) === 0x22 ? i : fail(i);
}

function skipDigits(from: u32): u32 {
  let i = from;
  while (<u8>(load<u8>(i) - 0x30) < 10) i++;
  return i;
}

function endOfScalar(from: u32): u32 {
  let c = load<u8>(from);
  let i = from;
  if (c === 0x74) return load<u32>(from) === 0x65757274 ? from + 4 : fail(from + 4);
  if (c === 0x6e) return load<u32>(from) === 0x6c6c756e ? from + 4 : fail(from + 4);
  if (c === 0x66) return load<u32>(from + 1) === 0x65736c61 ? from + 5 : fail(from + 5);
  if (c === 0x2d) c = load<u8>(++i);
  if (<u8>(c - 0x30) >= 10) return fail(i);
  if (c === 0x30) {
    c = load<u8>(++i);
    if (<u8>(c - 0x30) < 10) return fail(i);
  } else {
    i = skipDigits(i + 1);
    c = load<u8>(i);
  }
  if (c === 0x2e) {
    const digits = i + 1;
    i = skipDigits(digits);
    if (i === digits) return fail(i);
    c = load<u8>(i);
  }
  if ((c | 0x20) === 0x65) {
    c = load<u8>(++i);
    if (c === 0x2b || c === 0x2d) i++;
    const digits = i;
    i = skipDigits(digits);
    if (i === digits) return fail(i);
  }
  return i;
}

/** Checks a value by the whole grammar; `depth` containers are open around it. */
function skipValue(from: u32, depth: i32): u32 {
  let level: i32 = 0;
  let i = from;
  while (true) {
    const c = load<u8>(i);
    if (c === 0x22) {
      i = endOfString(i + 1);
      if (i === 0) return 0;
      i++;
    } else if (c === 0x7b || c === 0x5b) {
      if (depth + level >= maxDepth) return fail(i);
      level++;
      const place = closers + <u32>level * 8;
      store<u32>(place, c + 2);
      store<i32>(place, 0, 4);
      i = skipSpace(i + 1);
      if (load<u8>(i) === c + 2) {
        level--;
        i++;
      } else {
        if (c === 0x7b) {
          i = skipKey(i, place);
          if (i === 0) return 0;
        }
        continue;
      }
    } else {
      i = endOfScalar(i);
      if (i === 0) return 0;
    }
    while (true) {
      if (level === 0) return i;
      i = skipSpace(i);
      const next: u32 = load<u8>(i);
      const place = closers + <u32>level * 8;
      const closer = load<u32>(place);
      if (next === 0x2c) {
        i = skipSpace(i + 1);
        if (closer === 0x7d) {
          i = skipKey(i, place);
          if (i === 0) return 0;
        }
        break;
      }
      if (next !== closer) return fail(i);
      level--;
      i++;
    }
  }
}

function skipKey(from: u32, place: u32): u32 {
  if (load<u8>(from) !== 0x22) return fail(from);
  const end = endOfString(from + 1);
  if (end === 0) return 0;
  if (<i32>(end - from - 1) > maxKeyBytes) return fail(from);
  const count = load<i32>(place, 4) + 1;
  if (count > maxKeys) return fail(from);
  store<i32>(place, count, 4);
  return skipColon(end + 1);
}

function skipColon(from: u32): u32 {
  const i = skipSpace(from);
  return load<u8>(i) === 0x3a ? skipSpace(i + 1) : fail(i);
}

/** Sixteen bytes at a time: those behind the value are written over by the next one. */
function copy(to: u32, from: u32, length: u32): void {
  for (let k: u32 = 0; k < length; k += 16) v128.store(to + k, v128.load(from + k));
}

function takeBytes(index: i32, from: u32, to: u32): bool {
  const column = columns + <u32>index * COLUMN_SIZE;
  store<i32>(column, row, COLUMN_ROW);
  store<i32>(column, 0, COLUMN_IS_NULL);
  cellBytes += to - from;
  if (isRecordPass) {
    store<u32>(column, from, COLUMN_FROM);
    store<u32>(column, to, COLUMN_TO);
    return true;
  }
  return append(column, from, to);
}

function append(column: u32, from: u32, to: u32): bool {
  const end = load<u32>(column, COLUMN_END);
  const length = to - from;
  if (end + length > load<u32>(column, COLUMN_LIMIT)) {
    isRoomLeft = false;
    return false;
  }
  copy(end, from, length);
  store<u32>(column, end + length, COLUMN_END);
  return true;
}

function takeEscaped(index: i32, from: u32, to: u32): bool {
  const column = columns + <u32>index * COLUMN_SIZE;
  store<i32>(column, row, COLUMN_ROW);
  store<i32>(column, 0, COLUMN_IS_NULL);
  cellBytes += to - from;
  if (isRecordPass) {
    const end = decode(from, to, scratchEnd);
    if (end === 0) return false;
    store<u32>(column, scratchEnd, COLUMN_FROM);
    store<u32>(column, end, COLUMN_TO);
    scratchEnd = end;
    return true;
  }
  const at = load<u32>(column, COLUMN_END);
  if (at + (to - from) > load<u32>(column, COLUMN_LIMIT)) {
    isRoomLeft = false;
    return false;
  }
  const end = decode(from, to, at);
  if (end === 0) return false;
  store<u32>(column, end, COLUMN_END);
  return true;
}

function takeNull(index: i32): void {
  const column = columns + <u32>index * COLUMN_SIZE;
  store<i32>(column, row, COLUMN_ROW);
  store<i32>(column, 1, COLUMN_IS_NULL);
}

function readHex(at: u32): u32 {
  let value: u32 = 0;
  for (let i = at; i < at + 4; i++) {
    const c: u32 = load<u8>(i);
    value = (value << 4) | (c < 0x40 ? c & 0xf : (c & 0x7) + 9);
  }
  return value;
}

/** Writes the text of a string with escapes to `out`; 0 when one stands for half a character. */
function decode(from: u32, to: u32, out: u32): u32 {
  let i = from;
  let k = out;
  while (i < to) {
    const c = load<u8>(i);
    if (c !== 0x5c) {
      store<u8>(k++, c);
      i++;
      continue;
    }
    const kind = load<u8>(i + 1);
    i += 2;
    if (kind !== 0x75) {
      let character = kind;
      if (kind === 0x6e) character = 0x0a;
      else if (kind === 0x74) character = 0x09;
      else if (kind === 0x72) character = 0x0d;
      else if (kind === 0x62) character = 0x08;
      else if (kind === 0x66) character = 0x0c;
      store<u8>(k++, character);
      continue;
    }
    let code = readHex(i);
    i += 4;
    if (code >= 0xd800 && code < 0xe000) {
      if (code >= 0xdc00 || i + 6 > to || load<u16>(i) !== 0x755c) return fail(i);
      const low = readHex(i + 2);
      if (low < 0xdc00 || low > 0xdfff) return fail(i);
      code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
      i += 6;
    }
    if (code < 0x80) {
      store<u8>(k++, code);
      continue;
    }
    if (code < 0x800) {
      store<u8>(k++, 0xc0 | (code >> 6));
    } else {
      if (code < 0x10000) {
        store<u8>(k++, 0xe0 | (code >> 12));
      } else {
        store<u8>(k++, 0xf0 | (code >> 18));
        store<u8>(k++, 0x80 | ((code >> 12) & 0x3f));
      }
      store<u8>(k++, 0x80 | ((code >> 6) & 0x3f));
    }
    store<u8>(k++, 0x80 | (code & 0x3f));
  }
  return k;
}

/** Checks the value at `from` and takes what stands at and below `node`; 0 when it is not for here. */
function scanValue(node: u32, from: u32, depth: i32): u32 {
  const column = load<i32>(node, NODE_COLUMN);
  const c = load<u8>(from);
  let end: u32;
  if (c === 0x22) {
    const close = endOfString(from + 1);
    if (close === 0) return 0;
    if (column >= 0) {
      if (hasEscapes ? !takeEscaped(column, from + 1, close) : !takeBytes(column, from + 1, close))
        return fail(close);
    }
    end = close + 1;
  } else if (c === 0x7b || c === 0x5b) {
    const names = load<u32>(node, NODE_NAMES);
    if (c === 0x7b && names !== 0) end = scanObject(names, from, depth);
    else if (c === 0x5b && load<i32>(node, NODE_FLAGS) & HAS_ELEMENTS) return fail(from);
    else end = skipValue(from, depth);
    if (end === 0) return 0;
    if (column >= 0 && !takeBytes(column, from, end)) return fail(end);
  } else {
    end = endOfScalar(from);
    if (end === 0) return 0;
    if (column >= 0) {
      if (c === 0x6e) takeNull(column);
      else if (!takeBytes(column, from, end)) return fail(end);
    }
  }
  if (load<i32>(node, NODE_FLAGS) & EXPLODED && c !== 0x6e) {
    explodedFrom = from;
    _explodedTo = end;
  }
  return end;
}

/** Whether the spelling stands at `at`, behind the opening quote. */
function isAt(spelling: u32, at: u32): bool {
  const bytes = load<u32>(spelling, SPELLING_BYTES);
  const length = load<u32>(spelling, SPELLING_LENGTH);
  let k: u32 = 0;
  for (; k + 8 <= length; k += 8) {
    if (load<u64>(bytes + k) !== load<u64>(at + k)) return false;
  }
  if (k === length) return true;
  const rest = (length - k) << 3;
  return (load<u64>(bytes + k) ^ load<u64>(at + k)) << (64 - rest) === 0;
}

function find(names: u32, at: u32): u32 {
  const count = load<u32>(names, NAMES_COUNT);
  let spelling = names + NAMES_SPELLINGS;
  for (let k: u32 = 0; k < count; k++) {
    if (isAt(spelling, at)) return spelling;
    spelling += SPELLING_SIZE;
  }
  return 0;
}

function scanObject(names: u32, from: u32, depth: i32): u32 {
  if (depth >= maxDepth) return fail(from);
  const object = ++stamp;
  let i = skipSpace(from + 1);
  if (load<u8>(i) === 0x7d) return i + 1;
  let previous: u32 = names;
  let likely = load<u32>(names, NAMES_FIRST);
  let count = 0;
  while (true) {
    count++;
    if (load<u8>(i) !== 0x22) return fail(i);
    i++;
    let spelling = likely;
    if (spelling === 0 || !isAt(spelling, i)) {
      spelling = find(names, i);
      if (spelling === 0) {
        // One that is new, or is cut by the end of the bytes.
        const close = endOfString(i);
        return close === 0 ? 0 : fail(close);
      }
      // Of names and of spellings alike the first word is what comes next.
      store<u32>(previous, spelling);
    }
    previous = spelling;
    likely = load<u32>(spelling, SPELLING_NEXT);
    if (count > maxKeys) return fail(i);
    i = skipColon(i + load<u32>(spelling, SPELLING_LENGTH));
    if (i === 0) return 0;
    const member = load<u32>(spelling, SPELLING_MEMBER);
    if (load<i32>(member, MEMBER_OBJECT) === object) return fail(i);
    store<i32>(member, object, MEMBER_OBJECT);
    const node = load<u32>(member, MEMBER_NODE);
    if (node === 0) {
      i = skipValue(i, depth + 1);
    } else {
      // Two names that differ in case lead to one place: who counts is not judged here.
      if (load<i32>(node, NODE_HOLDER) === object) return fail(i);
      store<i32>(node, object, NODE_HOLDER);
      i = scanValue(node, i, depth + 1);
    }
    if (i === 0) return 0;
    i = skipSpace(i);
    const c = load<u8>(i);
    if (c === 0x7d) return i + 1;
    if (c !== 0x2c) return fail(i);
    i = skipSpace(i + 1);
  }
}

/** Completes the row, and gives the bytes of its cells. */
function endRow(byteOffset: f64): i32 {
  let bytes: i32 = 0;
  const mask: u8 = <u8>((<u32>1) << (<u32>(rows & 7)));
  const bit: u32 = rows >> 3;
  for (let k = 0; k < width; k++) {
    const column = columns + <u32>k * COLUMN_SIZE;
    if (load<i32>(column, COLUMN_ROW) !== row) setNull(column, bit, mask);
    else {
      store<i32>(column, 1, COLUMN_HAD);
      if (load<i32>(column, COLUMN_IS_NULL)) setNull(column, bit, mask);
    }
    const end = load<u32>(column, COLUMN_END) - load<u32>(column, COLUMN_DATA);
    const offset = load<u32>(column, COLUMN_BASE) + end;
    store<u32>(load<u32>(column, COLUMN_OFFSETS) + ((rows + 1) << 2), offset);
    bytes += offset;
  }
  store<f64>(byteOffsets + (rows << 3), byteOffset);
  rows++;
  return bytes;
}

function setNull(column: u32, bit: u32, mask: u8): void {
  const at = load<u32>(column, COLUMN_BITS) + bit;
  store<u8>(at, load<u8>(at) & ~mask);
  store<i32>(column, 1, COLUMN_HAS_NULLS);
}

/** Forgets the record under construction, and the rows that were made of it. */
function giveUp(firstRow: i32): void {
  for (let k = 0; k < width; k++) {
    const column = columns + <u32>k * COLUMN_SIZE;
    store<u32>(column, load<u32>(column, COLUMN_RECORD_END), COLUMN_END);
    for (let r = firstRow; r < rows; r++) {
      const at = load<u32>(column, COLUMN_BITS) + (r >> 3);
      store<u8>(at, load<u8>(at) | <u8>((<u32>1) << (<u32>(r & 7))));
    }
  }
  rows = firstRow;
}

/**
 * Takes the lines of `from .. end`, behind which a NUL stands and 16 bytes can be read, until something of them is left to somebody
 * else. `base` is where byte 0 of memory would stand in the file. The block has `blockRows` rows less than it may have, and is full as
 * well with `maxBytes` of cells, those it has counted, or of the file since `firstOffset` (negative: without rows).
 * Gives the position of the first line that is not taken, or behind the last one.
 */
export function scan(
  from: u32,
  end: u32,
  base: f64,
  roomRows: i32,
  blockRows: i32,
  firstOffset: f64,
  maxBytes: f64,
): u32 {
  rows = 0;
  unexploded = 0;
  let first = firstOffset;
  for (let k = 0; k < width; k++) {
    const column = columns + <u32>k * COLUMN_SIZE;
    store<u32>(column, load<u32>(column, COLUMN_DATA), COLUMN_END);
    store<i32>(column, 0, COLUMN_HAS_NULLS);
    memory.fill(load<u32>(column, COLUMN_BITS), 0xff, (roomRows + 7) >> 3);
  }
  const mostRows = min(roomRows, blockRows);
  let i = from;
  while (true) {
    let c = load<u8>(i);
    while (c === 0x0a || c === 0x0d || c === 0x20 || c === 0x09) c = load<u8>(++i);
    const line = i;
    if (i >= end) {
      status = WANTS_MORE;
      return line;
    }
    if (c !== 0x7b) {
      status = LEFT;
      return line;
    }
    if (rows === mostRows) {
      status = ROOM;
      return line;
    }
    for (let k = 0; k < width; k++) {
      const column = columns + <u32>k * COLUMN_SIZE;
      store<u32>(column, load<u32>(column, COLUMN_END), COLUMN_RECORD_END);
    }
    const firstRow = rows;
    const isExploding = elementNode !== 0;
    isRoomLeft = true;
    isRecordPass = isExploding;
    scratchEnd = scratch;
    explodedFrom = 0;
    cellBytes = 0;
    row++;
    let behind = scanValue(recordNode, line, 0);
    if (behind !== 0) {
      behind = skipSpace(behind);
      c = load<u8>(behind);
      // Where fields overlap a row has more bytes than its record.
      const isOver = <i32>(behind - line) > maxRecordBytes || cellBytes > maxRecordBytes;
      if ((c !== 0x0a && c !== 0x0d) || isOver) behind = fail(behind);
    }
    if (behind === 0) {
      giveUp(firstRow);
      if (!isRoomLeft && rows > 0) status = ROOM;
      else status = failedAt >= end ? WANTS_MORE : LEFT;
      return line;
    }
    let isFull = false;
    if (!isExploding) {
      const offset = base + <f64>line;
      if (first < 0) first = offset;
      const bytes = endRow(offset);
      isFull =
        rows === blockRows || <f64>bytes >= maxBytes || base + <f64>behind - first >= maxBytes;
    } else {
      const answer = explode(base, first, blockRows, mostRows, maxBytes);
      if (answer === LEFT || answer === ROOM) {
        giveUp(firstRow);
        status = answer === ROOM && rows > 0 ? ROOM : LEFT;
        return line;
      }
      if (first < 0 && rows > 0) first = load<f64>(byteOffsets);
      isFull = answer === BLOCK;
    }
    i = behind;
    if (isFull) {
      status = BLOCK;
      return i;
    }
  }
}

/** Makes the rows of the record that was scanned: all of them, or LEFT or ROOM; BLOCK when the last one closes the block. */
function explode(base: f64, firstOffset: f64, blockRows: i32, mostRows: i32, maxBytes: f64): i32 {
  const shared = row;
  const sharedBytes = cellBytes;
  for (let k = 0; k < width; k++) {
    const column = columns + <u32>k * COLUMN_SIZE;
    if (load<i32>(column, COLUMN_IS_SHARED) && load<i32>(column, COLUMN_ROW) === shared)
      store<i32>(column, 1, COLUMN_HAD);
  }
  const isArray = explodedFrom !== 0 && load<u8>(explodedFrom) === 0x5b;
  let i = isArray ? skipSpace(explodedFrom + 1) : explodedFrom;
  if (explodedFrom === 0 || (isArray && load<u8>(i) === 0x5d)) {
    unexploded++;
    return WANTS_MORE;
  }
  isRecordPass = false;
  let first = firstOffset;
  let allBytes: f64 = 0;
  while (true) {
    if (rows === mostRows) return mostRows === blockRows ? LEFT : ROOM;
    row++;
    cellBytes = 0;
    const element = i;
    const end = scanValue(elementNode, element, 0);
    if (end === 0) return isRoomLeft ? LEFT : ROOM;
    const rowBytes = cellBytes + sharedBytes;
    allBytes += <f64>rowBytes;
    if (rowBytes > maxRecordBytes || allBytes > maxExplodedBytes) return LEFT;
    for (let k = 0; k < width; k++) {
      const column = columns + <u32>k * COLUMN_SIZE;
      if (!load<i32>(column, COLUMN_IS_SHARED) || load<i32>(column, COLUMN_ROW) < shared) continue;
      if (!load<i32>(column, COLUMN_IS_NULL)) {
        if (!append(column, load<u32>(column, COLUMN_FROM), load<u32>(column, COLUMN_TO)))
          return ROOM;
      }
      store<i32>(column, row, COLUMN_ROW);
    }
    const offset = base + <f64>element;
    if (first < 0) first = offset;
    const bytes = endRow(offset);
    const isFull =
      rows === blockRows || <f64>bytes >= maxBytes || base + <f64>end - first >= maxBytes;
    i = isArray ? skipSpace(end) : end;
    const isLast = !isArray || load<u8>(i) !== 0x2c;
    // A block that closes within a record is not closed here.
    if (isFull) return isLast ? BLOCK : LEFT;
    if (isLast) return WANTS_MORE;
    i = skipSpace(i + 1);
  }
}
