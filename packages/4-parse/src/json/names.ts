import { isAscii } from "node:buffer";
import type { FieldNode } from "./field-tree.ts";
import { QUOTE } from "./scan.ts";

/** A name that members of the objects at one place of the tree have. */
export interface Member {
  readonly name: string;
  /** Where its value leads to: nowhere, as a rule to one place, to several when fields differ in case alone. */
  readonly targets: readonly Target[];
  /** The object that had it last, by its number. */
  object: number;
  /** Whether nobody needs to hear that no field takes it. */
  isKnown: boolean;
}

/** A field's place as one member's name leads to it. */
export interface Target {
  readonly node: FieldNode;
  readonly isExact: boolean;
  readonly holder: Holder;
}

/** Which member's value a place of the tree has now: shared by the targets that lead there. */
export interface Holder {
  object: number;
  member: Member | undefined;
  isExact: boolean;
}

/** A member's name as some file writes it. */
export interface Spelling {
  readonly member: Member;
  /** Where its bytes, those between the quotes and the closing quote, stand in the names' `written`. */
  readonly from: number;
  readonly to: number;
  /** The one that followed it last. */
  next: Spelling | undefined;
}

/**
 * What names lead to from one place of the tree. Objects of one file have the same names in the same
 * order, as a rule: so a name is first compared to the one that is likely, byte by byte.
 */
export interface Names {
  /** The spelling that the last object began with. */
  first: Spelling | undefined;
  /** Counts objects; each has its own number. */
  object: number;
  readonly spellings: Map<string, Spelling>;
  /** The bytes of all spellings, one after the other. */
  written: Uint8Array;
  writtenEnd: number;
  readonly members: Map<string, Member>;
  readonly exact: ReadonlyMap<string, { node: FieldNode; holder: Holder }>;
  readonly folded: ReadonlyMap<string, readonly string[]>;
  /** What stands before names that no field takes; undefined when nobody asks for them. */
  readonly prefix: string | undefined;
}

/** More spellings than this are forgotten before the next object, so that memory stays flat. */
const MAX_SPELLINGS = 4096;
/** How many of the likely next names are looked at: members may be left out here and there. */
const GUESSES = 3;

export function createNames(
  nodes: ReadonlyMap<string, FieldNode>,
  prefix: string | undefined,
): Names {
  const exact = new Map<string, { node: FieldNode; holder: Holder }>();
  const folded = new Map<string, string[]>();
  for (const [name, node] of nodes) {
    exact.set(name, { node, holder: { object: 0, member: undefined, isExact: false } });
    const alike = folded.get(fold(name));
    if (alike === undefined) folded.set(fold(name), [name]);
    else alike.push(name);
  }
  return {
    first: undefined,
    object: 0,
    spellings: new Map(),
    written: new Uint8Array(256),
    writtenEnd: 0,
    members: new Map(),
    exact,
    folded,
    prefix,
  };
}

/** What names are compared by when none is spelled exactly. */
export function fold(name: string): string {
  return name.toLowerCase();
}

/** Begins an object: gives its number. */
export function beginObject(names: Names): number {
  if (names.spellings.size > MAX_SPELLINGS) {
    names.spellings.clear();
    names.members.clear();
    names.writtenEnd = 0;
    names.first = undefined;
  }
  return ++names.object;
}

/** The likely spelling whose bytes stand at `at`, behind the opening quote; undefined when none does. */
export function guess(
  { written }: Names,
  likely: Spelling | undefined,
  bytes: Uint8Array,
  at: number,
): Spelling | undefined {
  let spelling = likely;
  for (let left = GUESSES; left > 0 && spelling !== undefined; left--) {
    if (isAt(written, spelling.from, spelling.to, bytes, at)) return spelling;
    spelling = spelling.next;
  }
  return undefined;
}

function isAt(text: Uint8Array, from: number, to: number, bytes: Uint8Array, at: number): boolean {
  for (let i = from, k = at; i < to; i++, k++) if (bytes[k] !== text[i]) return false;
  return true;
}

/** The spelling `bytes[from .. to)` of a name, made when it is new; `isEscaped` when escapes stand in it. */
export function spell(
  names: Names,
  bytes: Uint8Array,
  from: number,
  to: number,
  isEscaped: boolean,
): Spelling {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from);
  // One character for each byte: exact for whatever bytes.
  const raw = view.toString("latin1");
  const known = names.spellings.get(raw);
  if (known !== undefined) return known;
  const name = isEscaped || !isAscii(view) ? readName(view, isEscaped) : raw;
  let member = names.members.get(name);
  if (member === undefined) {
    member = { name, targets: toTargets(names, name), object: 0, isKnown: false };
    names.members.set(name, member);
  }
  const start = names.writtenEnd;
  const spelling = { member, from: start, to: write(names, view), next: undefined };
  names.spellings.set(raw, spelling);
  return spelling;
}

/** The name that the bytes between two quotes stand for. */
export function readName(bytes: Buffer, isEscaped: boolean): string {
  const text = bytes.toString("utf8");
  return isEscaped ? (JSON.parse(`"${text}"`) as string) : text;
}

/** Keeps a name's bytes and a quote behind them; gives the position behind that. */
function write(names: Names, bytes: Uint8Array): number {
  const at = names.writtenEnd;
  const end = at + bytes.length + 1;
  if (end > names.written.length) {
    const grown = new Uint8Array(end * 2);
    grown.set(names.written.subarray(0, at));
    names.written = grown;
  }
  names.written.set(bytes, at);
  names.written[end - 1] = QUOTE;
  names.writtenEnd = end;
  return end;
}

function toTargets(names: Names, name: string): Target[] {
  const targets: Target[] = [];
  for (const wanted of names.folded.get(fold(name)) ?? []) {
    const place = names.exact.get(wanted);
    if (place !== undefined) targets.push({ ...place, isExact: wanted === name });
  }
  return targets;
}
