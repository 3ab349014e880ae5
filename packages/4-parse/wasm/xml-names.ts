/** AssemblyScript: the names of a document, each known by the address of what is known of it. JavaScript judges and adds them. */

import { fail, isSpace } from "./xml-text";

// A name as it is spelled, of elements or attributes.
export const NAME_NEXT: u32 = 0; // the element that opened after this one last
export const NAME_BYTES: u32 = 4;
export const NAME_LENGTH: u32 = 8;
export const NAME_FLAGS: u32 = 12;
export const NAME_FIRST: u32 = 16; // its first eight bytes, and which bits of eight bytes they are
export const NAME_MASK: u32 = 24;
export const NAME_HOLDER: u32 = 32; // the element that has an attribute of this name
export const NAME_NEXT_ATTRIBUTE: u32 = 36; // the attribute that came after this attribute, or first in this element
export const NAME_ID: u32 = 40;
export const NAME_SIZE: u32 = 48;

export const IS_RECORD: u32 = 1; // of elements where the scanner stands
export const IS_KNOWN_ELEMENT: u32 = 2; // findings know it as a member of records
export const IS_KNOWN_ATTRIBUTE: u32 = 4;
export const IS_DECLARING: u32 = 8; // as an attribute it says something of namespaces, or of null

let names: u32 = 0;
let maxNames: u32 = 0;
let nameCount: u32 = 0;
let spellings: u32 = 0;
let spellingsEnd: u32 = 0;
let spellingsLimit: u32 = 0;
let slots: u32 = 0; // twice as many as names, a power of two, four bytes each
let slotMask: u32 = 0;
let newName: u32 = 0;
let _newNameEnd: u32 = 0;

/** There is room for `count` names, and twice as many slots. */
export function setNames(
  at: u32,
  count: u32,
  slotsAt: u32,
  spellingsAt: u32,
  spellingsTo: u32,
): void {
  names = at;
  maxNames = count;
  slots = slotsAt;
  slotMask = count * 2 - 1;
  spellings = spellingsAt;
  spellingsLimit = spellingsTo;
}

/** Where the name stands that was looked for and is none of these; 0 for none. */
export function newNameStart(): u32 {
  return newName;
}

export function newNameEnd(): u32 {
  return _newNameEnd;
}

export function forgetNewName(): void {
  newName = 0;
}

export function clearNames(): void {
  nameCount = 0;
  spellingsEnd = spellings;
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

/** Whether the name stands at `at`: what stands behind it is not looked at. */
export function isAt(name: u32, at: u32): bool {
  if ((load<u64>(at) & load<u64>(name, NAME_MASK)) !== load<u64>(name, NAME_FIRST)) return false;
  const length = load<u32>(name, NAME_LENGTH);
  if (length <= 8) return true;
  const bytes = load<u32>(name, NAME_BYTES);
  for (let k: u32 = 8; k + 8 < length; k += 8) {
    if (load<u64>(at + k) !== load<u64>(bytes + k)) return false;
  }
  return load<u64>(at + length - 8) === load<u64>(bytes + length - 8);
}

/** Whether a name can end before `c`, of a tag or attribute that is in order. */
export function endsName(c: u32): bool {
  return c === 0x3e || c === 0x3d || c === 0x2f || isSpace(c);
}

/** The name at `at`; 0, and a failure, where none is known. */
export function findName(at: u32): u32 {
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
