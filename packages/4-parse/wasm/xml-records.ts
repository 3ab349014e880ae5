/**
 * AssemblyScript: takes whole records of XML from bytes to columns. It knows no errors and no findings: a record that it is not sure to read as
 * saxes does, it leaves to saxes; one whose cells are more than texts of elements and attributes it leaves as marks, to be made a tree of.
 * What it is given and gives stands in src/xml/record-scanner.ts. Bytes are UTF-8 of allowed characters (`checked`), and a NUL stands behind them.
 */

import {
  clearNames,
  endsName,
  findName,
  forgetNewName,
  IS_DECLARING,
  IS_KNOWN_ATTRIBUTE,
  IS_KNOWN_ELEMENT,
  IS_RECORD,
  isAt,
  NAME_FLAGS,
  NAME_HOLDER,
  NAME_ID,
  NAME_LENGTH,
  NAME_NEXT,
  NAME_NEXT_ATTRIBUTE,
  newNameStart,
  setNames,
} from "./xml-names";
import {
  decode,
  endOfComment,
  endOfSection,
  endOfText,
  endOfValue,
  fail,
  failedAt,
  hasOther,
  isSpace,
  skipSpace,
} from "./xml-text";

export { checked, columnBehind, countLines } from "./xml-checks";
export { addName, newNameEnd, newNameStart } from "./xml-names";

// A mark: what stands in a record, in the order of the document.
const MARK_KIND: u32 = 0; // kind and flags
const MARK_NAME: u32 = 4;
const MARK_FROM: u32 = 8;
const MARK_LENGTH: u32 = 12; // of OPEN: the mark behind its CLOSE
const MARK_SIZE: u32 = 16;
const KIND: u32 = 7;
const OPEN: u32 = 1;
const CLOSE: u32 = 2;
const LEAF: u32 = 3; // an element without attributes and with one text at most
const ATTRIBUTE: u32 = 4;
const TEXT: u32 = 5;
const IS_WRITTEN_OTHERWISE: u32 = 8; // has references or line ends that are not as they are read
const IS_CDATA: u32 = 16;

// A place in a record that fields' paths lead to or through.
const PLACE_COLUMN: u32 = 0; // takes the element or attribute here, -1: none
const PLACE_TEXT: u32 = 4; // takes the element's own text, -1: none
const PLACE_ELEMENTS: u32 = 8; // for each name the place that it leads to, 0: none does
const PLACE_ATTRIBUTES: u32 = 12;
const PLACE_ROW: u32 = 16; // the row that had something here last
const IN_DOUBT: u32 = 1; // instead of a place: several

const COLUMN_DATA: u32 = 0;
const COLUMN_LIMIT: u32 = 4;
const COLUMN_END: u32 = 8;
const COLUMN_BASE: u32 = 12; // what the block has of the column already
const COLUMN_OFFSETS: u32 = 16;
const COLUMN_BITS: u32 = 20;
const COLUMN_HAD: u32 = 24; // whether any record had it
const COLUMN_ROW: u32 = 28; // the row under construction that has a value here
const COLUMN_HAS_NULLS: u32 = 32;
const COLUMN_SIZE: u32 = 64;

// An open element: its name and its OPEN. While columns are filled: its place, its text's mark, whether elements stand in it.
const LEVEL_NAME: u32 = 0;
const LEVEL_OPEN: u32 = 4;
const LEVEL_PLACE: u32 = 0;
const LEVEL_TEXT: u32 = 4;
const LEVEL_HAS_ELEMENTS: u32 = 8;
const LEVEL_SIZE: u32 = 16;

// Why scan() returned.
const WANTS_MORE: i32 = 0; // what stands at its result is not whole
const ROOM: i32 = 1; // nothing fits any more: to be taken and called again
const BLOCK: i32 = 2; // the last row closes the block
const LEFT: i32 = 3; // what stands at its result is not for here
const MARKS: i32 = 4; // of the record at its result there are marks alone
const NAME: i32 = 5; // there is a name that was not added yet

let levels: u32 = 0;
let marks: u32 = 0;
let marksLimit: u32 = 0;
let recordPlace: u32 = 0; // 0: all records are left as marks
let columns: u32 = 0;
let width: i32 = 0;
let byteOffsets: u32 = 0;

let maxDepth: i32 = 0;
let maxAttributes: i32 = 0;
let maxMembers: i32 = 0;
let maxRecordBytes: i32 = 0;
let maxRowBytes: i32 = 0;

let lastElement: u32 = 0;
let element: u32 = 0; // numbers elements with attributes
let row: u32 = 0; // numbers rows
let members: i32 = 0;
let marksEnd: u32 = 0;
let isDeclaring: bool = false;
let isRoomLeft: bool = true;
let cellBytes: i32 = 0;

let rows: i32 = 0;
let status: i32 = 0;
let recordFrom: u32 = 0;
let _recordEnd: u32 = 0;

export function heapBase(): u32 {
  return <u32>__heap_base;
}

/** Begins a file. `names` has room for `count` names, `slots` for twice as many places, `marks` and `spellings` end where their limits are. */
export function setLayout(
  namesAt: u32,
  count: u32,
  slotsAt: u32,
  spellingsAt: u32,
  spellingsTo: u32,
  levelsAt: u32,
  marksAt: u32,
  marksTo: u32,
  columnsAt: u32,
  columnCount: i32,
  offsetsAt: u32,
  place: u32,
): void {
  setNames(namesAt, count, slotsAt, spellingsAt, spellingsTo);
  levels = levelsAt;
  marks = marksAt;
  marksLimit = marksTo - MARK_SIZE * 2;
  columns = columnsAt;
  width = columnCount;
  byteOffsets = offsetsAt;
  recordPlace = place;
  row = 0;
  forgetNames();
}

export function setLimits(
  depth: i32,
  attributes: i32,
  memberCount: i32,
  recordBytes: i32,
  rowBytes: i32,
): void {
  maxDepth = depth;
  maxAttributes = attributes;
  maxMembers = memberCount;
  maxRecordBytes = recordBytes;
  maxRowBytes = rowBytes;
}

export function rowCount(): i32 {
  return rows;
}

export function scanStatus(): i32 {
  return status;
}

/** Of MARKS: where the record stands, and where its marks end. */
export function recordStart(): u32 {
  return recordFrom;
}

export function recordEnd(): u32 {
  return _recordEnd;
}

export function endOfMarks(): u32 {
  return marksEnd;
}

export function forgetNames(): void {
  clearNames();
  lastElement = 0;
  element = 0;
}

/** Elements and rows that were counted: more than 2^30 are too many. */
export function stampCount(): u32 {
  return max(element, row);
}

function putMark(at: u32, kind: u32, name: u32, from: u32, length: u32): void {
  store<u32>(at, kind, MARK_KIND);
  store<u32>(at, name, MARK_NAME);
  store<u32>(at, from, MARK_FROM);
  store<u32>(at, length, MARK_LENGTH);
}

/** From behind an element's name to the `/` or `>` that ends its tag. */
function scanAttributes(from: u32, end: u32, name: u32): u32 {
  const holder = ++element;
  let previous = name;
  let count = 0;
  let i = from;
  while (true) {
    let c: u32 = load<u8>(i);
    if (c === 0x3e || c === 0x2f) return i;
    if (!isSpace(c)) return fail(i);
    i = skipSpace(i + 1);
    c = load<u8>(i);
    if (c === 0x3e || c === 0x2f) return i;
    let attribute = load<u32>(previous, NAME_NEXT_ATTRIBUTE);
    if (
      attribute === 0 ||
      !isAt(attribute, i) ||
      !endsName(load<u8>(i + load<u32>(attribute, NAME_LENGTH)))
    ) {
      attribute = findName(i);
      if (attribute === 0) return 0;
      store<u32>(previous, attribute, NAME_NEXT_ATTRIBUTE);
    }
    previous = attribute;
    if (load<u32>(attribute, NAME_HOLDER) === holder) return fail(i);
    store<u32>(attribute, holder, NAME_HOLDER);
    if (load<u32>(attribute, NAME_FLAGS) & IS_DECLARING) isDeclaring = true;
    if (++count > maxAttributes || ++members > maxMembers || marksEnd > marksLimit) return fail(i);
    i = skipSpace(i + load<u32>(attribute, NAME_LENGTH));
    if (load<u8>(i) !== 0x3d) return fail(i);
    i = skipSpace(i + 1);
    const quote: u32 = load<u8>(i);
    if (quote !== 0x22 && quote !== 0x27) return fail(i);
    const value = i + 1;
    i = endOfValue(value, quote, end);
    if (i === 0) return 0;
    const kind = hasOther ? ATTRIBUTE | IS_WRITTEN_OTHERWISE : ATTRIBUTE;
    putMark(marksEnd, kind, attribute, value, i - value);
    marksEnd += MARK_SIZE;
    i++;
  }
}

/** Makes marks of the record whose tag begins at `from`, and gives where it ends; 0 when it is not for here, or not whole. */
function scanRecord(from: u32, end: u32): u32 {
  let i = from;
  let depth: i32 = 0;
  let level = levels;
  members = 0;
  marksEnd = marks;
  isDeclaring = false;
  while (true) {
    // An element's tag.
    i++;
    let name = lastElement === 0 ? 0 : load<u32>(lastElement, NAME_NEXT);
    if (name === 0 || !isAt(name, i) || !endsName(load<u8>(i + load<u32>(name, NAME_LENGTH)))) {
      name = findName(i);
      if (name === 0) return 0;
      if (lastElement !== 0) store<u32>(lastElement, name, NAME_NEXT);
    }
    lastElement = name;
    i += load<u32>(name, NAME_LENGTH);
    if (++depth > maxDepth || ++members > maxMembers || marksEnd > marksLimit) return fail(from);
    const open = marksEnd;
    marksEnd += MARK_SIZE;
    let c: u32 = load<u8>(i);
    if (c !== 0x3e) {
      i = scanAttributes(i, end, name);
      if (i === 0) return 0;
      c = load<u8>(i);
    }
    let isAfterOpen = true;
    let isLoose = false;
    if (c === 0x2f) {
      if (load<u8>(i + 1) !== 0x3e) return fail(i + 1);
      i += 2;
      depth--;
      if (marksEnd === open + MARK_SIZE) putMark(open, LEAF, name, i, 0);
      else {
        putMark(marksEnd, CLOSE, name, i, 0);
        marksEnd += MARK_SIZE;
        putMark(open, OPEN, name, from, marksEnd);
      }
      if (depth === 0) return i;
      isAfterOpen = false;
    } else {
      i++;
      level += LEVEL_SIZE;
      store<u32>(level, name, LEVEL_NAME);
      store<u32>(level, open, LEVEL_OPEN);
    }
    // What stands between tags, up to the next one that opens.
    while (true) {
      if (load<u8>(i) !== 0x3c) {
        const text = i;
        const behind = skipSpace(i);
        let isWhite = false;
        if (load<u8>(behind) === 0x3c) {
          // Beside elements it is how the file is laid out, unless there is more than this between the two tags.
          const next: u32 = load<u8>(behind + 1);
          isWhite = !isLoose && next !== 0x21 && (next !== 0x2f || !isAfterOpen);
        }
        if (isWhite) i = behind;
        else {
          i = endOfText(text, end);
          if (i === 0) return 0;
          if (marksEnd > marksLimit) return fail(from);
          putMark(marksEnd, hasOther ? TEXT | IS_WRITTEN_OTHERWISE : TEXT, 0, text, i - text);
          marksEnd += MARK_SIZE;
        }
      }
      const next: u32 = load<u8>(i + 1);
      if (next === 0x2f) {
        name = load<u32>(level, LEVEL_NAME);
        const opened = load<u32>(level, LEVEL_OPEN);
        const length = load<u32>(name, NAME_LENGTH);
        const behind = i + 2 + length;
        if (behind >= end) return fail(end);
        if (!isAt(name, i + 2)) return fail(i);
        i = load<u8>(behind) === 0x3e ? behind : skipSpace(behind);
        if (load<u8>(i) !== 0x3e) return fail(i);
        i++;
        if (marksEnd === opened + MARK_SIZE) putMark(opened, LEAF, name, i, 0);
        else {
          const kind = load<u32>(opened + MARK_SIZE, MARK_KIND);
          if (marksEnd === opened + MARK_SIZE * 2 && (kind & KIND) === TEXT) {
            store<u32>(opened, name, MARK_NAME);
            store<u32>(opened, (kind & ~KIND) | LEAF, MARK_KIND);
            store<u64>(opened, load<u64>(opened + MARK_SIZE, MARK_FROM), MARK_FROM);
            marksEnd = opened + MARK_SIZE;
          } else {
            putMark(marksEnd, CLOSE, name, i, 0);
            marksEnd += MARK_SIZE;
            putMark(opened, OPEN, name, 0, marksEnd);
          }
        }
        level -= LEVEL_SIZE;
        depth--;
        if (depth === 0) return i;
        isAfterOpen = false;
        isLoose = false;
        continue;
      }
      if (next === 0x3f) return fail(i);
      if (next !== 0x21) break;
      isLoose = true;
      if (i + 9 >= end) return fail(end);
      if (load<u32>(i) === 0x2d2d_213c) {
        i = endOfComment(i + 4, end);
        if (i === 0) return 0;
      } else if (load<u32>(i + 1) === 0x4443_5b21 && load<u32>(i + 5) === 0x5b41_5441) {
        const text = i + 9;
        i = endOfSection(text, end);
        if (i === 0) return 0;
        if (marksEnd > marksLimit) return fail(from);
        if (i > text) {
          const kind = hasOther ? TEXT | IS_CDATA | IS_WRITTEN_OTHERWISE : TEXT | IS_CDATA;
          putMark(marksEnd, kind, 0, text, i - text);
          marksEnd += MARK_SIZE;
        }
        i += 3;
      } else return fail(i);
    }
  }
}

/** Sixteen bytes at a time: those behind the value are written over by the next one. */
function copy(to: u32, from: u32, length: u32): void {
  for (let k: u32 = 0; k < length; k += 16) v128.store(to + k, v128.load(from + k));
}

/** Puts the text of a mark into a column, as the value of the row. */
function append(index: i32, mark: u32): bool {
  const column = columns + <u32>index * COLUMN_SIZE;
  const from = load<u32>(mark, MARK_FROM);
  const length = load<u32>(mark, MARK_LENGTH);
  const kind = load<u32>(mark, MARK_KIND);
  const at = load<u32>(column, COLUMN_END);
  if (at + length > load<u32>(column, COLUMN_LIMIT)) {
    isRoomLeft = false;
    return false;
  }
  let end = at + length;
  if (kind & IS_WRITTEN_OTHERWISE)
    end = decode(from, from + length, (kind & KIND) === ATTRIBUTE, (kind & IS_CDATA) !== 0, at);
  else copy(at, from, length);
  store<u32>(column, row, COLUMN_ROW);
  store<u32>(column, end, COLUMN_END);
  cellBytes += end - at;
  return cellBytes <= maxRowBytes;
}

function appendEmpty(index: i32): void {
  store<u32>(columns + <u32>index * COLUMN_SIZE, row, COLUMN_ROW);
}

/** Puts the texts that fields want of the marked record into the columns; whether these are all that the row has. */
function fill(): bool {
  row++;
  cellBytes = 0;
  isRoomLeft = true;
  let place = recordPlace;
  let mark = marks;
  if ((load<u32>(mark) & KIND) === LEAF) {
    const column = load<i32>(place, PLACE_TEXT);
    // Text that no field takes is a finding.
    return column >= 0 ? append(column, mark) : load<u32>(mark, MARK_LENGTH) === 0;
  }
  mark += MARK_SIZE;
  let level = levels;
  let text: u32 = 0;
  let hasElements = false;
  while (true) {
    const kind = load<u32>(mark) & KIND;
    if (kind === TEXT) {
      if (load<i32>(place, PLACE_TEXT) >= 0) {
        if (text !== 0) return false;
        text = mark;
      } else if (level === levels) return false;
      mark += MARK_SIZE;
      continue;
    }
    if (kind === CLOSE) {
      const column = load<i32>(place, PLACE_TEXT);
      if (column >= 0) {
        if (text !== 0) {
          if (hasElements || !append(column, text)) return false;
        } else if (!hasElements) appendEmpty(column);
      }
      if (level === levels) return true;
      place = load<u32>(level, LEVEL_PLACE);
      text = load<u32>(level, LEVEL_TEXT);
      hasElements = load<u32>(level, LEVEL_HAS_ELEMENTS) !== 0;
      level -= LEVEL_SIZE;
      mark += MARK_SIZE;
      continue;
    }
    const name = load<u32>(mark, MARK_NAME);
    const isAttribute = kind === ATTRIBUTE;
    if (!isAttribute) hasElements = true;
    if (level === levels) {
      const known = isAttribute ? IS_KNOWN_ATTRIBUTE : IS_KNOWN_ELEMENT;
      if ((load<u32>(name, NAME_FLAGS) & known) === 0) return false;
    }
    const table = isAttribute
      ? load<u32>(place, PLACE_ATTRIBUTES)
      : load<u32>(place, PLACE_ELEMENTS);
    const inner = load<u32>(table + (load<u32>(name, NAME_ID) << 2));
    if (inner === 0) {
      mark = kind === OPEN ? load<u32>(mark, MARK_LENGTH) : mark + MARK_SIZE;
      continue;
    }
    // What is there twice, by one name or by several, is not judged here.
    if (inner === IN_DOUBT || load<u32>(inner, PLACE_ROW) === row) return false;
    store<u32>(inner, row, PLACE_ROW);
    const column = load<i32>(inner, PLACE_COLUMN);
    if (kind !== OPEN) {
      if (column >= 0 && !append(column, mark)) return false;
      const own = load<i32>(inner, PLACE_TEXT);
      if (own >= 0 && !append(own, mark)) return false;
    } else {
      if (column >= 0) return false;
      level += LEVEL_SIZE;
      store<u32>(level, place, LEVEL_PLACE);
      store<u32>(level, text, LEVEL_TEXT);
      store<u32>(level, hasElements ? 1 : 0, LEVEL_HAS_ELEMENTS);
      place = inner;
      text = 0;
      hasElements = false;
    }
    mark += MARK_SIZE;
  }
}

function endRow(byteOffset: f64): void {
  const mask: u8 = <u8>((<u32>1) << (<u32>(rows & 7)));
  const bit: u32 = rows >> 3;
  for (let k = 0; k < width; k++) {
    const column = columns + <u32>k * COLUMN_SIZE;
    if (load<u32>(column, COLUMN_ROW) === row) store<i32>(column, 1, COLUMN_HAD);
    else {
      const at = load<u32>(column, COLUMN_BITS) + bit;
      store<u8>(at, load<u8>(at) & ~mask);
      store<i32>(column, 1, COLUMN_HAS_NULLS);
    }
    const end = load<u32>(column, COLUMN_END) - load<u32>(column, COLUMN_DATA);
    const offset = load<u32>(column, COLUMN_BASE) + end;
    store<u32>(load<u32>(column, COLUMN_OFFSETS) + ((rows + 1) << 2), offset);
  }
  store<f64>(byteOffsets + (rows << 3), byteOffset);
  rows++;
}

/** Forgets the row under construction. */
function giveUp(): void {
  for (let k = 0; k < width; k++) {
    const column = columns + <u32>k * COLUMN_SIZE;
    let end = load<u32>(column, COLUMN_DATA);
    if (rows > 0) {
      end +=
        load<u32>(load<u32>(column, COLUMN_OFFSETS) + (rows << 2)) - load<u32>(column, COLUMN_BASE);
    }
    store<u32>(column, end, COLUMN_END);
  }
}

/**
 * Takes the records that stand one behind the other from `from` on, which is behind a tag, before `end`. `base` is where byte 0 of memory would
 * stand in the file, `depth` how many elements are open around them. The block has `blockRows` rows less than it may have, and is full as well
 * when its cells have `blockBytes` more. Gives the position behind the last record that it took.
 */
export function scan(
  from: u32,
  end: u32,
  base: f64,
  depth: i32,
  roomRows: i32,
  blockRows: i32,
  blockBytes: f64,
): u32 {
  rows = 0;
  forgetNewName();
  for (let k = 0; k < width; k++) {
    const column = columns + <u32>k * COLUMN_SIZE;
    store<u32>(column, load<u32>(column, COLUMN_DATA), COLUMN_END);
    store<i32>(column, 0, COLUMN_HAS_NULLS);
    memory.fill(load<u32>(column, COLUMN_BITS), 0xff, (roomRows + 7) >> 3);
  }
  const mostRows = min(roomRows, blockRows);
  const depthLeft = maxDepth;
  maxDepth -= depth;
  const behind = scanRecords(from, end, base, mostRows, blockRows, blockBytes);
  maxDepth = depthLeft;
  return behind;
}

function scanRecords(
  from: u32,
  end: u32,
  base: f64,
  mostRows: i32,
  blockRows: i32,
  blockBytes: f64,
): u32 {
  let bytes: f64 = 0;
  let border = from;
  while (true) {
    const at = skipSpace(border);
    if (at + 1 >= end) return leave(WANTS_MORE, border);
    if (load<u8>(at) !== 0x3c) return leave(LEFT, border);
    const c: u32 = load<u8>(at + 1);
    if (c === 0x2f || c === 0x21 || c === 0x3f) return leave(LEFT, border);
    if (rows === mostRows) return leave(ROOM, border);
    let name = lastElement === 0 ? 0 : load<u32>(lastElement, NAME_NEXT);
    if (
      name === 0 ||
      !isAt(name, at + 1) ||
      !endsName(load<u8>(at + 1 + load<u32>(name, NAME_LENGTH)))
    ) {
      name = findName(at + 1);
    }
    let behind: u32 = 0;
    if (name !== 0) {
      if ((load<u32>(name, NAME_FLAGS) & IS_RECORD) === 0) return leave(LEFT, border);
      behind = scanRecord(at, end);
    }
    if (behind === 0) {
      if (newNameStart() !== 0) return leave(NAME, border);
      return leave(failedAt >= end ? WANTS_MORE : LEFT, border);
    }
    if (<i32>(behind - border) > maxRecordBytes) return leave(LEFT, border);
    if (recordPlace === 0 || isDeclaring || !fill()) {
      giveUp();
      recordFrom = at;
      _recordEnd = behind;
      const isWaiting = recordPlace !== 0 && !isDeclaring && !isRoomLeft && rows > 0;
      return leave(isWaiting ? ROOM : MARKS, border);
    }
    endRow(base + <f64>at);
    bytes += cellBytes;
    border = behind;
    if (rows === blockRows || bytes >= blockBytes) return leave(BLOCK, border);
  }
}

function leave(why: i32, at: u32): u32 {
  status = why;
  return at;
}
