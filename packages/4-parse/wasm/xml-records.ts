/**
 * AssemblyScript: takes whole records of XML from bytes to columns. It knows no errors and no findings: a record that it is not sure to read as
 * saxes does, it leaves to saxes; one whose cells are more than texts of elements and attributes it leaves as marks, to be made a tree of.
 * What it is given and gives stands in src/xml/record-scanner.ts. Bytes are UTF-8 of allowed characters (`checked`), and a NUL stands behind them.
 */

// A name as it is spelled, of elements or attributes.
const NAME_NEXT: u32 = 0; // the element that opened after this one last
const NAME_BYTES: u32 = 4;
const NAME_LENGTH: u32 = 8;
const NAME_FLAGS: u32 = 12;
const NAME_FIRST: u32 = 16; // its first eight bytes, and which bits of eight bytes they are
const NAME_MASK: u32 = 24;
const NAME_HOLDER: u32 = 32; // the element that has an attribute of this name
const NAME_NEXT_ATTRIBUTE: u32 = 36; // the attribute that came after this attribute, or first in this element
const NAME_ID: u32 = 40;
const NAME_SIZE: u32 = 48;

const IS_RECORD: u32 = 1; // of elements where the scanner stands
const IS_KNOWN_ELEMENT: u32 = 2; // findings know it as a member of records
const IS_KNOWN_ATTRIBUTE: u32 = 4;
const IS_DECLARING: u32 = 8; // as an attribute it says something of namespaces, or of null

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

const MAX_REFERENCE: u32 = 11; // `&#x10FFFF;` and the byte behind it

let names: u32 = 0;
let maxNames: u32 = 0;
let nameCount: u32 = 0;
let spellings: u32 = 0;
let spellingsEnd: u32 = 0;
let spellingsLimit: u32 = 0;
let slots: u32 = 0; // twice as many as names, a power of two, four bytes each
let slotMask: u32 = 0;

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
let hasOther: bool = false;
let isRoomLeft: bool = true;
let cellBytes: i32 = 0;
let failedAt: u32 = 0;

let rows: i32 = 0;
let status: i32 = 0;
let recordFrom: u32 = 0;
let _recordEnd: u32 = 0;
let newName: u32 = 0;
let _newNameEnd: u32 = 0;
let _column: i32 = 0;

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
  names = namesAt;
  maxNames = count;
  slots = slotsAt;
  slotMask = count * 2 - 1;
  spellings = spellingsAt;
  spellingsLimit = spellingsTo;
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

/** Of NAME. */
export function newNameStart(): u32 {
  return newName;
}

export function newNameEnd(): u32 {
  return _newNameEnd;
}

/** Elements and rows that were counted: more than 2^30 are too many. */
export function stampCount(): u32 {
  return max(element, row);
}

export function forgetNames(): void {
  nameCount = 0;
  spellingsEnd = spellings;
  lastElement = 0;
  element = 0;
  memory.fill(slots, 0, (slotMask + 1) << 2);
}

/** Learns the name that stands at `at`; gives the address of what is known of it, 0 when there is no room. */
export function addName(at: u32, length: u32, flags: u32): u32 {
  if (nameCount === maxNames || spellingsEnd + length + 16 > spellingsLimit) return 0;
  const name = names + nameCount * NAME_SIZE;
  memory.fill(name, 0, NAME_SIZE);
  memory.copy(spellingsEnd, at, length);
  const mask = maskOf(length);
  store<u32>(name, spellingsEnd, NAME_BYTES);
  store<u32>(name, length, NAME_LENGTH);
  store<u32>(name, flags, NAME_FLAGS);
  store<u64>(name, load<u64>(at) & mask, NAME_FIRST);
  store<u64>(name, mask, NAME_MASK);
  store<u32>(name, nameCount, NAME_ID);
  spellingsEnd += length;
  nameCount++;
  let slot = hashOf(at, length) & slotMask;
  while (load<u32>(slots + (slot << 2)) !== 0) slot = (slot + 1) & slotMask;
  store<u32>(slots + (slot << 2), name);
  return name;
}

function maskOf(length: u32): u64 {
  return length >= 8 ? ~(<u64>0) : ((<u64>1) << (<u64>(length << 3))) - 1;
}

function hashOf(at: u32, length: u32): u32 {
  const first = load<u64>(at) & maskOf(length);
  const last = length > 8 ? load<u64>(at + length - 8) : 0;
  const mixed = first ^ (last * 31) ^ length;
  return (((<u32>mixed * 31) ^ <u32>(mixed >> 32)) * 0x9e37_79b1) >> 16;
}

function fail(at: u32): u32 {
  failedAt = at;
  return 0;
}

/** Whether the name stands at `at`: what stands behind it is not looked at. */
function isAt(name: u32, at: u32): bool {
  if ((load<u64>(at) & load<u64>(name, NAME_MASK)) !== load<u64>(name, NAME_FIRST)) return false;
  const length = load<u32>(name, NAME_LENGTH);
  if (length <= 8) return true;
  const bytes = load<u32>(name, NAME_BYTES);
  for (let k: u32 = 8; k + 8 < length; k += 8) {
    if (load<u64>(at + k) !== load<u64>(bytes + k)) return false;
  }
  return load<u64>(at + length - 8) === load<u64>(bytes + length - 8);
}

function isSpace(c: u32): bool {
  return c === 0x20 || c === 0x0a || c === 0x0d || c === 0x09;
}

/** Whether a name can end before `c`, of a tag or attribute that is in order. */
function endsName(c: u32): bool {
  return c === 0x3e || c === 0x3d || c === 0x2f || isSpace(c);
}

/** The name at `at`; 0, and a failure, where none is known. */
function findName(at: u32): u32 {
  let i = at;
  let c: u32 = load<u8>(i);
  while (c > 0x20 && c !== 0x2f && c !== 0x3d && c !== 0x3e) c = load<u8>(++i);
  const length = i - at;
  if (length === 0 || c === 0) return fail(i);
  let slot = hashOf(at, length) & slotMask;
  let name = load<u32>(slots + (slot << 2));
  while (name !== 0) {
    if (load<u32>(name, NAME_LENGTH) === length && isAt(name, at)) return name;
    slot = (slot + 1) & slotMask;
    name = load<u32>(slots + (slot << 2));
  }
  newName = at;
  _newNameEnd = i;
  return fail(at);
}

function skipSpace(from: u32): u32 {
  let i = from;
  let c: u32 = load<u8>(i);
  if (!isSpace(c)) return i;
  for (let k = 0; k < 4; k++) {
    c = load<u8>(++i);
    if (!isSpace(c)) return i;
  }
  while (true) {
    const v = v128.load(i);
    const spaces = v128.or(
      v128.or(i8x16.eq(v, i8x16.splat(0x20)), i8x16.eq(v, i8x16.splat(0x0a))),
      v128.or(i8x16.eq(v, i8x16.splat(0x0d)), i8x16.eq(v, i8x16.splat(0x09))),
    );
    const mask = i8x16.bitmask(spaces) ^ 0xffff;
    if (mask !== 0) return i + ctz(mask);
    i += 16;
  }
}

/**
 * Each byte that ends a scan stands at the place of its low four bits, where no other of them has the same; at the other places stand
 * bytes with other low bits, which nothing fits.
 */
function stopsAt(v: v128, table: v128): u32 {
  const low = v128.and(v, i8x16.splat(0x0f));
  return i8x16.bitmask(i8x16.eq(v, i8x16.swizzle(table, low)));
}

/** The `<` that ends the text at `from`, in which there may be references; 0 when it is not in order. */
function endOfText(from: u32, end: u32): u32 {
  // NUL & CR < >
  const table = i8x16(0x00, -1, -1, -1, -1, -1, 0x26, -1, -1, -1, -1, -1, 0x3c, 0x0d, 0x3e, 0);
  let i = from;
  while (true) {
    let stops = stopsAt(v128.load(i), table);
    while (stops === 0) {
      i += 16;
      stops = stopsAt(v128.load(i), table);
    }
    i += ctz(stops);
    const c: u32 = load<u8>(i);
    if (c === 0x3c) return i;
    if (c === 0x26) {
      i = endOfReference(i, end);
      if (i === 0) return 0;
      hasOther = true;
    } else if (c === 0x0d) {
      hasOther = true;
      i++;
    } else if (c === 0x3e) {
      if (i >= from + 2 && load<u16>(i - 2) === 0x5d5d) return fail(i);
      i++;
    } else return fail(i);
  }
}

/** The quote that ends the value at `from`. */
function endOfValue(from: u32, quote: u32, end: u32): u32 {
  // NUL " & ' TAB LF < CR
  const table = i8x16(
    0x00,
    -1,
    0x22,
    -1,
    -1,
    -1,
    0x26,
    0x27,
    -1,
    0x09,
    0x0a,
    -1,
    0x3c,
    0x0d,
    -1,
    0,
  );
  let i = from;
  while (true) {
    let stops = stopsAt(v128.load(i), table);
    while (stops === 0) {
      i += 16;
      stops = stopsAt(v128.load(i), table);
    }
    i += ctz(stops);
    const c: u32 = load<u8>(i);
    if (c === quote) return i;
    if (c === 0x26) {
      i = endOfReference(i, end);
      if (i === 0) return 0;
      hasOther = true;
    } else if (c === 0x22 || c === 0x27) i++;
    else if (c === 0x09 || c === 0x0a || c === 0x0d) {
      hasOther = true;
      i++;
    } else return fail(i);
  }
}

/** Behind the reference at `at`: one of the five entities, or a number of a character that may stand in a document. */
function endOfReference(at: u32, end: u32): u32 {
  if (at + MAX_REFERENCE > end) return fail(end);
  const four = load<u32>(at + 1);
  if (four === 0x3b70_6d61) return at + 5; // amp;
  const three = four & 0xff_ffff;
  if (three === 0x3b_746c || three === 0x3b_7467) return at + 4; // lt; gt;
  if (four === 0x746f_7571 || four === 0x736f_7061) {
    // quot apos
    return load<u8>(at + 5) === 0x3b ? at + 6 : fail(at);
  }
  if (load<u8>(at + 1) !== 0x23) return fail(at);
  const code = numberAt(at + 2);
  const isCharacter =
    code < 0x20
      ? code === 0x09 || code === 0x0a || code === 0x0d
      : code < 0xd800 || (code > 0xdfff && code < 0xfffe) || (code > 0xffff && code < 0x11_0000);
  return isCharacter ? numberEnd : fail(at);
}

let numberEnd: u32 = 0; // behind the semicolon

/** The number of a reference, which is behind its `#`; 0 for what is none, or has more digits than any character. */
function numberAt(at: u32): u32 {
  let i = at;
  let value: u32 = 0;
  let c: u32 = load<u8>(i);
  if (c === 0x78) {
    const digits = ++i;
    for (; i < digits + 6; i++) {
      c = load<u8>(i);
      const letter = (c | 0x20) - 0x61;
      if (c - 0x30 < 10) value = (value << 4) | (c - 0x30);
      else if (letter < 6) value = (value << 4) | (letter + 10);
      else break;
    }
    if (i === digits) return 0;
  } else {
    const digits = i;
    for (; i < digits + 7; i++) {
      c = load<u8>(i) - 0x30;
      if (c >= 10) break;
      value = value * 10 + c;
    }
    if (i === digits) return 0;
  }
  numberEnd = i + 1;
  return load<u8>(i) === 0x3b ? value : 0;
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
    hasOther = false;
    i = endOfValue(value, quote, end);
    if (i === 0) return 0;
    const kind = hasOther ? ATTRIBUTE | IS_WRITTEN_OTHERWISE : ATTRIBUTE;
    putMark(marksEnd, kind, attribute, value, i - value);
    marksEnd += MARK_SIZE;
    i++;
  }
}

/** Behind the comment whose `<!--` stands before `from`. */
function endOfComment(from: u32, end: u32): u32 {
  let i = from;
  while (true) {
    let found = i8x16.bitmask(i8x16.eq(v128.load(i), i8x16.splat(0x2d)));
    while (found === 0) {
      i += 16;
      if (i >= end) return fail(end);
      found = i8x16.bitmask(i8x16.eq(v128.load(i), i8x16.splat(0x2d)));
    }
    i += ctz(found);
    if (i + 2 >= end) return fail(end);
    if (load<u8>(i + 1) === 0x2d) return load<u8>(i + 2) === 0x3e ? i + 3 : fail(i);
    i += 2;
  }
}

/** The `]]>` that ends the section whose text begins at `from`. */
function endOfSection(from: u32, end: u32): u32 {
  // NUL > CR
  const table = i8x16(0x00, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0x0d, 0x3e, 0);
  let i = from;
  while (true) {
    let stops = stopsAt(v128.load(i), table);
    while (stops === 0) {
      i += 16;
      stops = stopsAt(v128.load(i), table);
    }
    i += ctz(stops);
    if (i >= end) return fail(i);
    const c: u32 = load<u8>(i);
    if (c === 0x0d) hasOther = true;
    else if (i >= from + 2 && load<u16>(i - 2) === 0x5d5d) return i - 2;
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
          hasOther = false;
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
        hasOther = false;
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

/** Writes what stands at `from .. to` as it is read, to `out`, and gives where that ends: never more bytes. */
function decode(from: u32, to: u32, kind: u32, out: u32): u32 {
  const isAttribute = (kind & KIND) === ATTRIBUTE;
  const isCdata = (kind & IS_CDATA) !== 0;
  let i = from;
  let k = out;
  while (i < to) {
    const c: u32 = load<u8>(i);
    i++;
    if (c === 0x0d) {
      if (i < to && load<u8>(i) === 0x0a) i++;
      store<u8>(k++, isAttribute ? 0x20 : 0x0a);
    } else if (isAttribute && (c === 0x0a || c === 0x09)) store<u8>(k++, 0x20);
    else if (c !== 0x26 || isCdata) store<u8>(k++, c);
    else if (load<u8>(i) === 0x23) {
      k = encode(numberAt(i + 1), k);
      i = numberEnd;
    } else {
      const four = load<u32>(i);
      if (four === 0x3b70_6d61) {
        store<u8>(k++, 0x26);
        i += 4;
      } else if (four === 0x746f_7571) {
        store<u8>(k++, 0x22);
        i += 5;
      } else if (four === 0x736f_7061) {
        store<u8>(k++, 0x27);
        i += 5;
      } else {
        store<u8>(k++, (four & 0xff) === 0x6c ? 0x3c : 0x3e);
        i += 3;
      }
    }
  }
  return k;
}

function encode(code: u32, out: u32): u32 {
  let k = out;
  if (code < 0x80) {
    store<u8>(k++, code);
    return k;
  }
  if (code < 0x800) store<u8>(k++, 0xc0 | (code >> 6));
  else {
    if (code < 0x1_0000) store<u8>(k++, 0xe0 | (code >> 12));
    else {
      store<u8>(k++, 0xf0 | (code >> 18));
      store<u8>(k++, 0x80 | ((code >> 12) & 0x3f));
    }
    store<u8>(k++, 0x80 | ((code >> 6) & 0x3f));
  }
  store<u8>(k++, 0x80 | (code & 0x3f));
  return k;
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
  if (kind & IS_WRITTEN_OTHERWISE) end = decode(from, from + length, kind, at);
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
  newName = 0;
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
      if (newName !== 0) return leave(NAME, border);
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

/** How far from `from` on there are only characters that may stand in a document; at most to `to`. */
export function checked(from: u32, to: u32): u32 {
  let i = from;
  while (i < to) {
    const v = v128.load(i);
    let mask = i8x16.bitmask(i8x16.lt_u(v, i8x16.splat(0x20)));
    if (mask !== 0) {
      const ends = v128.or(
        i8x16.eq(v, i8x16.splat(0x0a)),
        v128.or(i8x16.eq(v, i8x16.splat(0x0d)), i8x16.eq(v, i8x16.splat(0x09))),
      );
      mask &= ~i8x16.bitmask(ends);
    }
    // U+FFFE and U+FFFF.
    const leads = i8x16.bitmask(i8x16.eq(v, i8x16.splat(<i8>0xef)));
    if (leads !== 0) {
      const second = i8x16.bitmask(i8x16.eq(v128.load(i + 1), i8x16.splat(<i8>0xbf)));
      const third = i8x16.bitmask(i8x16.ge_u(v128.load(i + 2), i8x16.splat(<i8>0xbe)));
      mask |= leads & second & third;
    }
    if (mask !== 0) return min(to, i + ctz(mask));
    i += 16;
  }
  return to;
}

/** Line ends in `from .. to`, which cuts none; `columnBehind` is then how many characters stand behind the last of them. */
export function countLines(from: u32, to: u32): i32 {
  let lines: i32 = 0;
  let column: i32 = 0;
  let i = from;
  while (i < to) {
    const left = to - i;
    const inside: u32 = left >= 16 ? 0xffff : (1 << left) - 1;
    const v = v128.load(i);
    const feeds: u32 = i8x16.bitmask(i8x16.eq(v, i8x16.splat(0x0a))) & inside;
    const returns: u32 = i8x16.bitmask(i8x16.eq(v, i8x16.splat(0x0d))) & inside;
    // Bytes that no other character's bytes go on with.
    const starts: u32 = i8x16.bitmask(i8x16.ge_s(v, i8x16.splat(-64))) & inside;
    const ends = feeds | returns;
    if (ends === 0) column += popcnt(starts);
    else {
      const nextFeeds: u32 = i8x16.bitmask(i8x16.eq(v128.load(i + 1), i8x16.splat(0x0a)));
      lines += popcnt(feeds) + popcnt(returns & ~nextFeeds);
      const last = 31 - clz(ends);
      column = popcnt(starts >> (last + 1));
    }
    i += 16;
  }
  _column = column;
  return lines;
}

export function columnBehind(): i32 {
  return _column;
}
