/** AssemblyScript: what is looked at in all bytes of a document alike, whatever they say. */

let _column: i32 = 0;

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
