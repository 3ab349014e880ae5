import { quoteIdentifier } from "../quoting.ts";

/** A ClickHouse type as a tree, as far as paths go into it. */
export type NativeType =
  | { readonly kind: "scalar"; readonly type: string }
  | { readonly kind: "array"; readonly element: NativeType }
  | { readonly kind: "map"; readonly key: string; readonly value: NativeType }
  | { readonly kind: "tuple"; readonly members: readonly Member[] };

export interface Member {
  readonly name: string;
  readonly type: NativeType;
}

export const isDate = (type: string): boolean => type === "Date32" || type === "Nullable(Date32)";

/** The type as ClickHouse reads it, with texts for dates. */
export function printWithTexts(type: NativeType): string {
  switch (type.kind) {
    case "scalar":
      return isDate(type.type) ? "Nullable(String)" : type.type;
    case "array":
      return `Array(${printWithTexts(type.element)})`;
    case "map":
      return `Map(${isDate(type.key) ? "String" : type.key}, ${printWithTexts(type.value)})`;
    case "tuple": {
      const members = type.members.map(
        (m) => `${quoteIdentifier(m.name)} ${printWithTexts(m.type)}`,
      );
      return `Tuple(${members.join(", ")})`;
    }
  }
}

const NAME = /\s*(?:`((?:[^`\\]|\\.)*)`|([A-Za-z_][A-Za-z0-9_]*))\s+/y;
const WORD = /\s*([A-Za-z0-9]+)/y;

/** Reads a type as `Tuple`, `Array` and `Map` of scalars; throws a SyntaxError for what is none. */
export function parseType(text: string): NativeType {
  const { type, end } = typeAt(text, 0);
  if (text.slice(end).trim() !== "")
    throw new SyntaxError(`not a type from character ${end + 1} on`);
  return type;
}

function typeAt(text: string, from: number): { type: NativeType; end: number } {
  WORD.lastIndex = from;
  const word = WORD.exec(text)?.[1];
  if (word === undefined) throw new SyntaxError(`not a type from character ${from + 1} on`);
  const inside = WORD.lastIndex + 1;
  switch (text[inside - 1] === "(" ? word : "") {
    case "Array": {
      const { type, end } = typeAt(text, inside);
      return { type: { kind: "array", element: type }, end: closed(text, end) };
    }
    case "Map": {
      const key = typeAt(text, inside);
      if (key.type.kind !== "scalar") throw new SyntaxError("a map's key is nested");
      const value = typeAt(text, key.end + 1);
      return {
        type: { kind: "map", key: key.type.type, value: value.type },
        end: closed(text, value.end),
      };
    }
    case "Tuple": {
      const members: Member[] = [];
      let end = inside - 1;
      do {
        NAME.lastIndex = end + 1;
        const named = NAME.exec(text);
        if (named === null) throw new SyntaxError(`no name from character ${end + 2} on`);
        const [, quoted, plain = ""] = named;
        const member = typeAt(text, NAME.lastIndex);
        members.push({ name: quoted?.replace(/\\(.)/gs, "$1") ?? plain, type: member.type });
        end = member.end;
      } while (text[end] === ",");
      return { type: { kind: "tuple", members }, end: closed(text, end) };
    }
    default: {
      const end = scalarEnd(text, inside - 1);
      return { type: { kind: "scalar", type: text.slice(from, end).trim() }, end };
    }
  }
}

/** The position behind a scalar's arguments, which may nest and hold texts in quotes. */
function scalarEnd(text: string, from: number): number {
  if (text[from] !== "(") return from;
  let depth = 0;
  for (let at = from; at < text.length; at++) {
    const character = text[at];
    if (character === "'") at = text.indexOf("'", at + 1);
    if (character === "'" && at === -1) break;
    if (character === "(") depth++;
    if (character === ")" && --depth === 0) return at + 1;
  }
  throw new SyntaxError("a type that does not end");
}

function closed(text: string, at: number): number {
  if (text[at] !== ")") throw new SyntaxError(`no end of a type at character ${at + 1}`);
  return at + 1;
}
