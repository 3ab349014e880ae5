import { fitOf, type Name, NO_FIT } from "./names.ts";

/**
 * What stands in a record: an element with text alone is that text, one with `xsi:nil="true"` is null; a
 * repeated element is the list of its values.
 */
export type Value = string | null | Node | readonly Value[];

/** An element with attributes or child elements. */
export interface Node {
  /** Attributes first, then child elements; each name once. */
  readonly names: Name[];
  /** Beside their names; a repeated element's is a list. */
  readonly values: Value[];
  /** Where each name stands, as soon as there are many. */
  places: Map<Name, number> | undefined;
  hasChildren: boolean;
  /** Whether it is null where it is taken whole, by `xsi:nil`; its attributes can still be addressed. */
  isNil: boolean;
  /** Its own text: what stands between its tags, without those texts that are only white beside child elements. */
  text: string;
}

/** The step to an element's own text. */
export const TEXT_STEP = "#text";

/** More members than this are looked up by a map. */
const FEW_MEMBERS = 16;

export function createNode(): Node {
  return { names: [], values: [], places: undefined, hasChildren: false, isNil: false, text: "" };
}

export function addMember(node: Node, name: Name, value: Value): void {
  const { names, values } = node;
  const at = placeOf(node, name);
  if (at < 0) {
    node.places?.set(name, names.length);
    names.push(name);
    values.push(value);
    if (names.length === FEW_MEMBERS) {
      node.places = new Map(names.map((known, place) => [known, place]));
    }
    return;
  }
  const first = values[at];
  if (Array.isArray(first)) first.push(value);
  else if (first !== undefined) values[at] = [first, value];
}

function placeOf({ names, places }: Node, name: Name): number {
  if (places !== undefined) return places.get(name) ?? -1;
  for (let i = 0; i < names.length; i++) if (names[i] === name) return i;
  return -1;
}

/**
 * The place of the member whose name fits the step best, of the first one among those that fit alike; -1 when
 * none does. `likely` is looked at first: records of one document are alike.
 */
export function findMember({ names }: Node, step: number, likely: number): number {
  const guess = names[likely];
  if (guess !== undefined && fitOf(guess, step) === 0) return likely;
  let best = NO_FIT;
  let at = -1;
  for (let i = 0; i < names.length; i++) {
    const fit = fitOf(names[i] as Name, step);
    if (fit < best) {
      best = fit;
      at = i;
      if (fit === 0) break;
    }
  }
  return at;
}

/** An element's own text; null by `xsi:nil`, undefined when it has none beside child elements. */
export function ownText(node: Node): string | null | undefined {
  if (node.isNil) return null;
  return node.hasChildren && node.text === "" ? undefined : node.text;
}
