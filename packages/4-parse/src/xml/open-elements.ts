import type { Name, Names } from "./names.ts";
import { addMember, createNode, type Node, type Value } from "./node.ts";

/** The elements of one record that are open, from the record's own on. */
export interface OpenElements {
  /** How many there are; 0 outside of records. */
  readonly depth: number;
  /** `attributes`: names and values in turn. */
  open(name: string, attributes: readonly string[]): void;
  text(text: string): void;
  /** Closes the innermost element: gives the record's value when it was the record's, else undefined. */
  close(): Value | undefined;
}

const SCHEMA_INSTANCE = "http://www.w3.org/2001/XMLSchema-instance";
const DECLARATION = "xmlns:";
/** Of hostile documents only: prefixes of the schema instance namespace beside `xsi`. */
const MAX_NIL_NAMES = 64;

interface OpenElement {
  name: Name;
  /** Undefined as long as there is nothing but text. */
  node: Node | undefined;
  isNil: boolean;
  text: string;
  /** How much text there was at the last tag inside. */
  textAtTag: number;
}

export function createOpenElements(names: Names): OpenElements {
  const stack: OpenElement[] = [];
  const nilNames = new Set(["xsi:nil"]);
  let depth = 0;

  const takeAttributes = (element: OpenElement, attributes: readonly string[]): void => {
    for (let i = 0; i < attributes.length; i += 2) {
      const name = attributes[i] ?? "";
      if (
        name.startsWith(DECLARATION) &&
        attributes[i + 1]?.trim() === SCHEMA_INSTANCE &&
        nilNames.size < MAX_NIL_NAMES
      ) {
        nilNames.add(`${name.slice(DECLARATION.length)}:nil`);
      }
    }
    for (let i = 0; i < attributes.length; i += 2) {
      const name = attributes[i] ?? "";
      const value = attributes[i + 1] ?? "";
      if (nilNames.has(name)) element.isNil = /^\s*(true|1)\s*$/.test(value);
      else if (name !== "xmlns" && !name.startsWith(DECLARATION)) {
        element.node ??= createNode();
        addMember(element.node, names.attribute(name), value);
      }
    }
  };

  return {
    get depth() {
      return depth;
    },
    open(text, attributes) {
      const name = names.element(text);
      const parent = stack[depth - 1];
      if (parent !== undefined && depth > 0) dropWhite(parent);
      const element: OpenElement = { name, node: undefined, isNil: false, text: "", textAtTag: 0 };
      stack[depth] = element;
      if (attributes.length > 0) takeAttributes(element, attributes);
      depth++;
    },
    text(text) {
      const element = stack[depth - 1];
      if (element !== undefined) element.text = element.text === "" ? text : element.text + text;
    },
    close() {
      depth--;
      const element = stack[depth] as OpenElement;
      const value = toValue(element);
      if (depth === 0) return value;
      const parent = stack[depth - 1] as OpenElement;
      parent.node ??= createNode();
      parent.node.hasChildren = true;
      addMember(parent.node, element.name, value);
      return undefined;
    },
  };
}

function toValue(element: OpenElement): Value {
  const { node, isNil } = element;
  if (node === undefined) return isNil ? null : element.text;
  if (node.hasChildren) dropWhite(element);
  node.isNil = isNil;
  node.text = element.text;
  return node;
}

/** Beside child elements, a text between two tags that is only white is how the file is laid out, no value. */
function dropWhite(element: OpenElement): void {
  const { text, textAtTag } = element;
  if (text.length > textAtTag && isWhite(text, textAtTag)) element.text = text.slice(0, textAtTag);
  element.textAtTag = element.text.length;
}

/** White as XML means it: blank, tab, line feed and carriage return alone. */
function isWhite(text: string, from: number): boolean {
  for (let i = from; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c !== 0x20 && c !== 0x0a && c !== 0x09 && c !== 0x0d) return false;
  }
  return true;
}
