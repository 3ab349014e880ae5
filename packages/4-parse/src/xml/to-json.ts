import { type Node, ownText, TEXT_STEP, type Value } from "./node.ts";

const TEXT_KEY = `${JSON.stringify(TEXT_STEP)}:`;

/**
 * A value as JSON: an element with attributes or children is an object of them, attributes under `@name`, its own
 * text, unless it is empty, under `#text`; a repeated element is an array. Deep as the document is.
 */
export function toJson(value: Value): string {
  if (value === null) return "null";
  if (typeof value === "string") return JSON.stringify(value);
  if (isList(value)) return `[${value.map(toJson).join(",")}]`;
  return value.isNil ? "null" : `{${members(value).join(",")}}`;
}

export function isList(value: Value): value is readonly Value[] {
  return Array.isArray(value);
}

function members(node: Node): string[] {
  const parts = node.names.map(({ key }, i) => key + toJson(node.values[i] ?? null));
  const text = ownText(node);
  if (text) parts.push(TEXT_KEY + JSON.stringify(text));
  return parts;
}
