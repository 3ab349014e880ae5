/**
 * AssemblyScript: where the texts of a document end, and what they say. A function that looks for an end gives 0 where there is none that it is
 * sure of, and `failedAt` says where that is: behind the bytes where more of them may help. A NUL stands behind the bytes.
 */

const MAX_REFERENCE: u32 = 11; // `&#x10FFFF;` and the byte behind it

export let failedAt: u32 = 0;
/** Whether the text that was passed last has references, or line ends or blanks that are not as they are read. */
export let hasOther: bool = false;
let numberEnd: u32 = 0; // behind the semicolon

export function fail(at: u32): u32 {
  failedAt = at;
  return 0;
}

export function isSpace(c: u32): bool {
  return c === 0x20 || c === 0x0a || c === 0x0d || c === 0x09;
}

export function skipSpace(from: u32): u32 {
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
export function endOfText(from: u32, end: u32): u32 {
  // NUL & CR < >
  const table = i8x16(0x00, -1, -1, -1, -1, -1, 0x26, -1, -1, -1, -1, -1, 0x3c, 0x0d, 0x3e, 0);
  let i = from;
  hasOther = false;
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
export function endOfValue(from: u32, quote: u32, end: u32): u32 {
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
  hasOther = false;
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

/** Behind the comment whose `<!--` stands before `from`. */
export function endOfComment(from: u32, end: u32): u32 {
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
export function endOfSection(from: u32, end: u32): u32 {
  // NUL > CR
  const table = i8x16(0x00, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0x0d, 0x3e, 0);
  let i = from;
  hasOther = false;
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

/** Writes what stands at `from .. to` as it is read, to `out`, and gives where that ends: never more bytes. */
export function decode(from: u32, to: u32, isAttribute: bool, isCdata: bool, out: u32): u32 {
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
