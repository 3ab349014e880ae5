import { type Node, type ParseError, parseTree, printParseErrorCode } from "jsonc-parser";
import type { Report } from "./report.ts";

/** A value of a JSON document, with where it stands. */
export interface JsonValueAt {
  readonly document: string;
  /** As RFC 6901 has it. */
  readonly pointer: string;
  /** In characters, from 0. */
  readonly offset: number;
  readonly kind: "object" | "array" | "string" | "number" | "boolean" | "null";
  /** Of texts, numbers and booleans. */
  readonly value: unknown;
  /** Of an object, in order; the value of a name that comes twice is the last one. */
  readonly members: ReadonlyMap<string, JsonValueAt>;
  /** Of an array. */
  readonly items: readonly JsonValueAt[];
}

const SYNTAX: Readonly<Record<string, string>> = {
  InvalidCommentToken: "a comment, which JSON does not have",
  PropertyNameExpected: "a member's name in double quotes was expected",
  ValueExpected: "a value was expected",
  ColonExpected: "a colon was expected",
  CommaExpected: "a comma was expected",
  CloseBraceExpected: "a closing brace was expected",
  CloseBracketExpected: "a closing bracket was expected",
  EndOfFileExpected: "nothing was expected after the end",
  UnexpectedEndOfString: "a text that is never closed",
  InvalidEscapeCharacter: "a backslash before a character that needs none",
};

/** Reads a document with all positions; reports what is no JSON, and then there is no value. */
export function parseDocument(
  document: string,
  text: string,
  report: Report,
): JsonValueAt | undefined {
  const errors: ParseError[] = [];
  const root = parseTree(text, errors, { disallowComments: true });
  for (const { error, offset } of errors.slice(0, 10)) {
    const what = SYNTAX[printParseErrorCode(error)] ?? "this is not JSON";
    report.error({ document, pointer: "", offset }, "not_json", `not JSON here: ${what}`, "");
  }
  if (errors.length > 0 || root === undefined) {
    if (errors.length === 0) {
      const message = "the document is empty";
      report.error({ document, pointer: "", offset: 0 }, "not_json", message, "write JSON");
    }
    return undefined;
  }
  return toValue(document, root, "", report);
}

function toValue(document: string, node: Node, pointer: string, report: Report): JsonValueAt {
  const members = new Map<string, JsonValueAt>();
  const items: JsonValueAt[] = [];
  if (node.type === "object") {
    for (const property of node.children ?? []) {
      const [name, value] = property.children ?? [];
      if (name === undefined || value === undefined) continue;
      const key = String(name.value);
      const below = `${pointer}/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`;
      const member = toValue(document, value, below, report);
      if (members.has(key)) {
        const place = { document, pointer: below, offset: name.offset };
        const message = `${JSON.stringify(key)} is here twice: only the last one counts`;
        report.error(place, "member_repeated", message, "leave one of them out");
      }
      members.set(key, member);
    }
  } else if (node.type === "array") {
    for (const [index, item] of (node.children ?? []).entries()) {
      items.push(toValue(document, item, `${pointer}/${index}`, report));
    }
  }
  const kind = node.type === "property" ? "null" : node.type;
  return { document, pointer, offset: node.offset, kind, value: node.value, members, items };
}

/** A member's text; undefined, and reported, when it is something else. */
export function textOf(of: JsonValueAt, name: string, report: Report): string | undefined {
  const member = of.members.get(name);
  if (member === undefined) return undefined;
  if (typeof member.value === "string") return member.value;
  report.error(member, "wrong_type", `${name} is not a text`, "write it in double quotes");
  return undefined;
}

/** A member's true or false, also when it is written as a text; `undefined` when it is not there. */
export function booleanOf(of: JsonValueAt, name: string, report: Report): boolean | undefined {
  const member = of.members.get(name);
  if (member === undefined) return undefined;
  if (typeof member.value === "boolean") return member.value;
  if (member.value === "true" || member.value === "false") return member.value === "true";
  report.error(member, "wrong_type", `${name} is not true or false`, "write true or false");
  return undefined;
}

/** Reports members that nothing reads. */
export function refuseOthers(of: JsonValueAt, known: readonly string[], report: Report): void {
  for (const [name, member] of of.members) {
    if (known.includes(name)) continue;
    const message = `${JSON.stringify(name)} is not known here and is left out`;
    const near = known.find((each) => each.split("/").at(-1) === name.split("/").at(-1));
    const suggestion = near === undefined ? "" : `perhaps ${JSON.stringify(near)} is meant`;
    report.warning(member, "member_unknown", message, suggestion);
  }
}
