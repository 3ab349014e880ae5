import type { FieldNode, FieldTrees } from "./field-tree.ts";
import type { Member, Names, Spelling } from "./names.ts";

/** Of the spellings at one place more are looked up in JavaScript alone. */
const MAX_SPELLINGS = 64;
const NODE_BYTES = 16;
const NAMES_BYTES = 8;
const SPELLING_BYTES = 16;
const MEMBER_BYTES = 8;
const EXPLODED = 1;
const HAS_ELEMENTS = 2;
/** Bytes are compared eight at a time. */
const SLACK = 8;

/** Where the trees of the fields stand in the scanner's memory. */
export interface WrittenTrees {
  readonly record: number;
  /** 0 without an exploded array. */
  readonly element: number;
}

/** Whether each place has one column at most: others are left to JavaScript. */
export function areSimple({ record, element }: FieldTrees): boolean {
  return isSimple(record) && (element === undefined || isSimple(element));
}

function isSimple(node: FieldNode): boolean {
  if (node.columns.length > 1) return false;
  return [...node.members.values(), ...node.elements.values()].every(isSimple);
}

/** Changes when names were learned, or became known, since the tables were written. */
export function countNames({ record, element }: FieldTrees): number {
  return countBelow(record) + (element === undefined ? 0 : countBelow(element));
}

function countBelow({ names, members }: FieldNode): number {
  let count = 0;
  if (names !== undefined) {
    count += names.spellings.size;
    if (names.prefix !== undefined) {
      for (const { isKnown } of names.members.values()) if (isKnown) count++;
    }
  }
  for (const child of members.values()) count += countBelow(child);
  return count;
}

/** At most so many bytes are written for the trees as they are. */
export function sizeOfTables({ record, element }: FieldTrees): number {
  return sizeBelow(record) + (element === undefined ? 0 : sizeBelow(element));
}

function sizeBelow({ names, members }: FieldNode): number {
  let size = NODE_BYTES;
  if (names !== undefined) {
    size += NAMES_BYTES + names.writtenEnd;
    size += MAX_SPELLINGS * (SPELLING_BYTES + MEMBER_BYTES + SLACK * 2);
  }
  for (const child of members.values()) size += sizeBelow(child);
  return size;
}

/** Writes what the trees have learned of the file's names at `at` on. */
export function writeTables(
  { record, element }: FieldTrees,
  memory: Buffer,
  at: number,
): WrittenTrees {
  let end = at;

  function take(bytes: number): number {
    const from = end;
    end += (bytes + 7) & ~7;
    memory.fill(0, from, end);
    return from;
  }

  function writeNode(node: FieldNode): number {
    const place = take(NODE_BYTES);
    memory.writeInt32LE(node.columns[0] ?? -1, place);
    const flags = (node.isExploded ? EXPLODED : 0) | (node.elements.size > 0 ? HAS_ELEMENTS : 0);
    memory.writeInt32LE(flags, place + 12);
    const children = new Map([...node.members.values()].map((child) => [child, writeNode(child)]));
    if (node.names !== undefined) memory.writeUInt32LE(writeNames(node.names, children), place + 4);
    return place;
  }

  function writeNames(names: Names, children: ReadonlyMap<FieldNode, number>): number {
    const spellings = [...names.spellings.values()]
      .filter(({ member }) => isPlain(names, member))
      .slice(0, MAX_SPELLINGS);
    const place = take(NAMES_BYTES + spellings.length * SPELLING_BYTES);
    memory.writeUInt32LE(spellings.length, place + 4);
    const places = new Map(
      spellings.map((spelling, i) => [spelling, place + NAMES_BYTES + i * SPELLING_BYTES]),
    );
    const placeOf = (spelling: Spelling | undefined): number =>
      spelling === undefined ? 0 : (places.get(spelling) ?? 0);
    const members = new Map<Member, number>();
    memory.writeUInt32LE(placeOf(names.first), place);
    for (const [spelling, at] of places) {
      const { member, from, to, next } = spelling;
      let memberAt = members.get(member);
      if (memberAt === undefined) {
        memberAt = take(MEMBER_BYTES);
        members.set(member, memberAt);
        const [target] = member.targets;
        memory.writeUInt32LE(
          target === undefined ? 0 : (children.get(target.node) ?? 0),
          memberAt + 4,
        );
      }
      const bytes = take(to - from + SLACK);
      memory.set(names.written.subarray(from, to), bytes);
      memory.writeUInt32LE(placeOf(next), at);
      memory.writeUInt32LE(bytes, at + 4);
      memory.writeUInt32LE(to - from, at + 8);
      memory.writeUInt32LE(memberAt, at + 12);
    }
    return place;
  }

  return { record: writeNode(record), element: element === undefined ? 0 : writeNode(element) };
}

/** Whether there is nothing to be told of the name, and one place at most that it leads to. */
function isPlain({ prefix }: Names, { targets, isKnown }: Member): boolean {
  return targets.length === 1 || (targets.length === 0 && (isKnown || prefix === undefined));
}
