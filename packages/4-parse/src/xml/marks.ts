import type { Value } from "./node.ts";
import type { OpenElements } from "./open-elements.ts";
import {
  ATTRIBUTE,
  CLOSE,
  IS_CDATA,
  IS_WRITTEN_OTHERWISE,
  KIND,
  LEAF,
  MARK_BYTES,
  OPEN,
} from "./record-scanner.ts";

/** What a scanner marked of a record, in its memory. */
export interface Marks {
  readonly memory: Buffer;
  /** The same as numbers. */
  readonly words: Int32Array;
  readonly from: number;
  readonly to: number;
  readonly isAscii: boolean;
  /** The name that is known at an address. */
  nameAt(address: number): string;
  /** Told of each member of the record itself. */
  onMember(address: number, isAttribute: boolean): void;
}

const NO_ATTRIBUTES: readonly string[] = [];
const ENTITIES: Readonly<Record<string, string>> = {
  amp: "&",
  lt: "<",
  gt: ">",
  quot: '"',
  apos: "'",
};

/** Builds the record that was marked, as saxes's events would. */
export function toValue(marks: Marks, elements: OpenElements): Value {
  const { words, from, to } = marks;
  let value: Value | undefined;
  let at = from;
  while (at < to) {
    const mark = at >> 2;
    const flags = words[mark] as number;
    const kind = flags & KIND;
    const name = words[mark + 1] as number;
    at += MARK_BYTES;
    if (kind === OPEN || kind === LEAF) {
      if (elements.depth === 1) marks.onMember(name, false);
      const attributes: string[] = [];
      while (at < to && ((words[at >> 2] as number) & KIND) === ATTRIBUTE && kind === OPEN) {
        const attribute = words[(at >> 2) + 1] as number;
        if (elements.depth === 0) marks.onMember(attribute, true);
        attributes.push(marks.nameAt(attribute), textOf(marks, at >> 2));
        at += MARK_BYTES;
      }
      elements.open(marks.nameAt(name), attributes.length === 0 ? NO_ATTRIBUTES : attributes);
      if (kind === OPEN) continue;
      if (words[mark + 3] !== 0) elements.text(textOf(marks, mark));
      value = elements.close();
    } else if (kind === CLOSE) value = elements.close();
    else elements.text(textOf(marks, mark));
  }
  return value as Value;
}

/** The text of a mark as XML has it read. */
function textOf({ memory, words, isAscii }: Marks, mark: number): string {
  const flags = words[mark] as number;
  const from = words[mark + 2] as number;
  const length = words[mark + 3] as number;
  const text = memory.toString(isAscii ? "latin1" : "utf8", from, from + length);
  if ((flags & IS_WRITTEN_OTHERWISE) === 0) return text;
  const isAttribute = (flags & KIND) === ATTRIBUTE;
  const lines = isAttribute
    ? text.replaceAll(/\r\n|[\r\n\t]/g, " ")
    : text.replaceAll(/\r\n?/g, "\n");
  return (flags & IS_CDATA) === 0 ? lines.replaceAll(/&([^;]*);/g, toCharacter) : lines;
}

/** Of a reference that was found to be in order. */
function toCharacter(_: string, reference: string): string {
  const entity = ENTITIES[reference];
  if (entity !== undefined) return entity;
  const isHex = reference.startsWith("#x");
  return String.fromCodePoint(Number.parseInt(reference.slice(isHex ? 2 : 1), isHex ? 16 : 10));
}
