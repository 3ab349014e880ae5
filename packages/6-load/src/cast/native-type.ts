import { quoteIdentifier, quoteText } from "../quoting.ts";

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

/** How scalars of a type are carried inside of a nested value; undefined for those that stay as they are. */
export type ScalarRule = (type: string) => CarriedScalar | undefined;

export interface CarriedScalar {
  /** The type of what `sql` gives. */
  readonly type: string;
  /** An expression that fails for no value; absent where the value itself has the type. */
  sql?(value: string): string;
}

/** The type as ClickHouse reads it, its scalars by the rule. */
export function printType(type: NativeType, rule: ScalarRule): string {
  const scalar = (of: string): string => rule(of)?.type ?? of;
  switch (type.kind) {
    case "scalar":
      return scalar(type.type);
    case "array":
      return `Array(${printType(type.element, rule)})`;
    case "map":
      return `Map(${keyType(type.key, rule)}, ${printType(type.value, rule)})`;
    case "tuple": {
      const members = type.members.map(
        (m) => `${quoteIdentifier(m.name)} ${printType(m.type, rule)}`,
      );
      return `Tuple(${members.join(", ")})`;
    }
  }
}

/** A map's keys are never null, and have no Nullable type. */
function keyType(type: string, rule: ScalarRule): string {
  const carried = rule(type)?.type ?? type;
  return /^Nullable\((.*)\)$/s.exec(carried)?.[1] ?? carried;
}

/** A nested value with its scalars by the rule, of the type that `printType` gives; fails for no value. */
export function mapScalars(value: string, type: NativeType, rule: ScalarRule, depth = 0): string {
  if (!isChanged(type, rule)) return value;
  const name = `_e${depth}`;
  const below = (of: string, element: NativeType): string =>
    `arrayMap(${name} -> ${mapScalars(name, element, rule, depth + 1)}, ${of})`;
  switch (type.kind) {
    case "scalar":
      return rule(type.type)?.sql?.(value) ?? value;
    case "array":
      return below(value, type.element);
    case "map": {
      const keys = `mapKeys(${value})`;
      const change = rule(type.key)?.sql;
      const changed =
        change === undefined ? keys : `arrayMap(_k -> ${keyOf(change("_k"))}, ${keys})`;
      return `mapFromArrays(${changed}, ${below(`mapValues(${value})`, type.value)})`;
    }
    case "tuple": {
      const members = type.members.map(({ type: member }, i) =>
        mapScalars(`tupleElement(${value}, ${i + 1})`, member, rule, depth),
      );
      return `CAST(tuple(${members.join(", ")}), ${quoteText(printType(type, rule))})`;
    }
  }
}

const keyOf = (value: string): string => `assumeNotNull(${value})`;

/** Whether the rule has an expression for any scalar of the type. */
function isChanged(type: NativeType, rule: ScalarRule): boolean {
  switch (type.kind) {
    case "scalar":
      return rule(type.type)?.sql !== undefined;
    case "array":
      return isChanged(type.element, rule);
    case "map":
      return rule(type.key)?.sql !== undefined || isChanged(type.value, rule);
    case "tuple":
      return type.members.some((member) => isChanged(member.type, rule));
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
