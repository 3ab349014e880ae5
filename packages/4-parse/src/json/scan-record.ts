import { type Cells, clearBelow, takeBytes, takeEscaped, takeNull } from "./cells.ts";
import type { FieldNode } from "./field-tree.ts";
import { beginObject, guess, type Member, type Names, type Spelling, spell } from "./names.ts";
import { endOfScalar, endOfString } from "./scalars.ts";
import {
  CLOSE_BRACE,
  CLOSE_BRACKET,
  COMMA,
  NUL,
  OPEN_BRACE,
  OPEN_BRACKET,
  QUOTE,
  type Scan,
  STOPPED,
  skipSpace,
  stop,
  stopAtLimit,
} from "./scan.ts";
import {
  commaOr,
  skipColon,
  skipValue,
  stopAtDepth,
  stopAtKeyBytes,
  stopAtKeys,
} from "./skip-value.ts";
import { keyExpected } from "./unexpected.ts";

const LOWER_N = 0x6e;

/**
 * Checks the value that begins at `from` as `skipValue` does, and takes from it into the cells what
 * stands at the places at and below `node`. The call stack grows with the fields' paths alone.
 */
export function scanValue(
  scan: Scan,
  cells: Cells,
  node: FieldNode,
  bytes: Uint8Array,
  from: number,
  depth: number,
): number {
  const { columns } = node;
  const c = bytes[from] as number;
  let end: number;
  if (c === QUOTE) {
    const close = endOfString(scan, bytes, from + 1);
    if (close < 0) return STOPPED;
    const { hasEscapes } = scan;
    for (let k = 0; k < columns.length; k++) {
      const column = columns[k] as number;
      const taken = hasEscapes
        ? takeEscaped(scan, cells, column, bytes, from + 1, close)
        : takeBytes(scan, cells, column, bytes, from + 1, close);
      if (taken < 0) return STOPPED;
    }
    end = close + 1;
  } else if (c === OPEN_BRACE || c === OPEN_BRACKET) {
    if (c === OPEN_BRACE && node.names !== undefined) {
      end = scanObject(scan, cells, node.names, bytes, from, depth);
    } else if (c === OPEN_BRACKET && node.elements.size > 0) {
      end = scanArray(scan, cells, node, bytes, from, depth);
    } else {
      end = skipValue(scan, bytes, from, depth);
    }
    if (end < 0) return STOPPED;
    if (columns.length > 0 && end - from > scan.limits.maxValueBytes) {
      return stopAtLimit(scan, end, "maxValueBytes", "bytes in an object or array that is a cell");
    }
    for (let k = 0; k < columns.length; k++) {
      if (takeBytes(scan, cells, columns[k] as number, bytes, from, end) < 0) return STOPPED;
    }
  } else {
    end = endOfScalar(scan, bytes, from);
    if (end < 0) return STOPPED;
    // At the window's end it may go on: the caller stops here too, and half a number passes no limit.
    if (bytes[end] === NUL) return end;
    for (let k = 0; k < columns.length; k++) {
      if (c === LOWER_N) takeNull(cells, columns[k] as number);
      else if (takeBytes(scan, cells, columns[k] as number, bytes, from, end) < 0) return STOPPED;
    }
  }
  if (node.isExploded && c !== LOWER_N) {
    cells.explodedFrom = from;
    cells.explodedTo = end;
  }
  return end;
}

function scanObject(
  scan: Scan,
  cells: Cells,
  names: Names,
  bytes: Uint8Array,
  from: number,
  depth: number,
): number {
  if (depth >= scan.limits.maxDepth) return stopAtDepth(scan, from);
  const object = beginObject(names);
  let i = skipSpace(scan, bytes, from + 1);
  if (bytes[i] === CLOSE_BRACE) return i + 1;
  let previous: Spelling | undefined;
  for (let count = 1; ; count++) {
    if (bytes[i] !== QUOTE) return stop(scan, i, keyExpected(bytes[i]));
    i++;
    const likely = previous === undefined ? names.first : previous.next;
    let spelling = guess(names, likely, bytes, i);
    let close: number;
    if (spelling === undefined) {
      close = endOfString(scan, bytes, i);
      if (close < 0) return STOPPED;
      if (close - i > scan.limits.maxKeyBytes) return stopAtKeyBytes(scan, close);
      spelling = spell(names, bytes, i, close, scan.hasEscapes);
      if (previous === undefined) names.first = spelling;
      else previous.next = spelling;
    } else {
      close = i + (spelling.to - spelling.from) - 1;
    }
    previous = spelling;
    if (count > scan.limits.maxKeys) return stopAtKeys(scan, close);
    i = skipColon(scan, bytes, close + 1);
    if (i < 0) return STOPPED;

    const { member } = spelling;
    if (member.object === object) cells.hasDuplicate = true;
    member.object = object;
    if (member.targets.length === 0) {
      if (!member.isKnown) leave(cells, names, member);
      i = skipValue(scan, bytes, i, depth + 1);
    } else {
      i = scanTargets(scan, cells, names, member, bytes, i, depth + 1);
    }
    if (i < 0) return STOPPED;

    i = skipSpace(scan, bytes, i);
    const c = bytes[i];
    if (c === CLOSE_BRACE) return i + 1;
    if (c !== COMMA) return stop(scan, i, commaOr(CLOSE_BRACE));
    i = skipSpace(scan, bytes, i + 1);
  }
}

/** Takes a member's value to each place that its name leads to, and decides whose value counts there. */
function scanTargets(
  scan: Scan,
  cells: Cells,
  names: Names,
  member: Member,
  bytes: Uint8Array,
  from: number,
  depth: number,
): number {
  const { object } = names;
  const { targets } = member;
  let end = STOPPED;
  for (let k = 0; k < targets.length; k++) {
    const target = targets[k] as Member["targets"][number];
    const { holder, isExact, node } = target;
    if (holder.object === object) {
      const other = holder.member;
      const isOther = other !== undefined && other !== member;
      if (isOther && targets.length === 1) {
        if (holder.isExact) leave(cells, names, member);
        else if (isExact) leave(cells, names, other);
      }
      if (holder.isExact && !isExact) {
        end = skipValue(scan, bytes, from, depth);
        if (end < 0) return STOPPED;
        continue;
      }
      // Two that differ from the field in case alone: neither is the better one, as with a key given twice.
      if (isOther && holder.isExact === isExact) cells.hasDuplicate = true;
      clearBelow(cells, node);
    }
    holder.object = object;
    holder.member = member;
    holder.isExact = isExact;
    end = scanValue(scan, cells, node, bytes, from, depth);
    if (end < 0) return STOPPED;
  }
  return end;
}

/** Notes a member that no field takes, where that is asked for. */
function leave(cells: Cells, { prefix }: Names, member: Member): void {
  if (prefix !== undefined && !member.isKnown) cells.untaken.push({ prefix, member });
}

function scanArray(
  scan: Scan,
  cells: Cells,
  { elements }: FieldNode,
  bytes: Uint8Array,
  from: number,
  depth: number,
): number {
  if (depth >= scan.limits.maxDepth) return stopAtDepth(scan, from);
  let i = skipSpace(scan, bytes, from + 1);
  if (bytes[i] === CLOSE_BRACKET) return i + 1;
  for (let index = 0; ; index++) {
    const node = elements.get(index);
    i =
      node === undefined
        ? skipValue(scan, bytes, i, depth + 1)
        : scanValue(scan, cells, node, bytes, i, depth + 1);
    if (i < 0) return STOPPED;
    i = skipSpace(scan, bytes, i);
    const c = bytes[i];
    if (c === CLOSE_BRACKET) return i + 1;
    if (c !== COMMA) return stop(scan, i, commaOr(CLOSE_BRACKET));
    i = skipSpace(scan, bytes, i + 1);
  }
}
