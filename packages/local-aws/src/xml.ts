import { XMLParser } from "fast-xml-parser";
import { S3Error } from "./s3-error.ts";

/** Markup, nothing, or a list of markup. */
export type XmlNode = string | undefined | readonly string[];

const ESCAPES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "\r": "&#13;",
};

/** Text made safe for an element's content. */
function escapeXml(text: string): string {
  return text.replace(/[&<>"\r]/g, (character) => ESCAPES[character] ?? character);
}

/** `<name>…</name>`; children are markup already, made by this function or by {@link escapeXml}. */
export function element(name: string, ...children: readonly XmlNode[]): string {
  return `<${name}>${children.flat().join("")}</${name}>`;
}

/** An element with text content; nothing at all when the value is undefined. */
export function field(name: string, value: string | number | boolean | undefined): string {
  return value === undefined ? "" : `<${name}>${escapeXml(String(value))}</${name}>`;
}

/** A whole document whose root carries S3's namespace. */
export function s3Document(root: string, ...children: readonly XmlNode[]): string {
  const inner = children.flat().join("");
  return `<?xml version="1.0" encoding="UTF-8"?>\n<${root} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${inner}</${root}>`;
}

const parser = new XMLParser({
  ignoreAttributes: true,
  parseTagValue: false,
  trimValues: false,
  htmlEntities: true,
  ignoreDeclaration: true,
});

type XmlValue = string | XmlRecord | readonly XmlValue[];
export interface XmlRecord {
  readonly [name: string]: XmlValue | undefined;
}

/** The children of the document's root element, which must be `root`; otherwise MalformedXML. */
export function parseXml(text: string, root: string): XmlRecord {
  let parsed: XmlRecord;
  try {
    parsed = parser.parse(text, true);
  } catch (cause) {
    throw malformed(cause);
  }
  const value = parsed[root];
  if (value === undefined || Array.isArray(value)) throw malformed();
  return isRecord(value) ? value : {};
}

/** The records called `name`, however many there are. */
export function records(parent: XmlRecord, name: string): readonly XmlRecord[] {
  const value = parent[name];
  if (value === undefined) return [];
  return (Array.isArray(value) ? value : [value]).filter(isRecord);
}

/** The text of the element called `name`, if it is there. */
export function text(parent: XmlRecord, name: string): string | undefined {
  const value = parent[name];
  return typeof value === "string" ? value : undefined;
}

function isRecord(value: XmlValue): value is XmlRecord {
  return typeof value === "object" && !Array.isArray(value);
}

function malformed(cause?: unknown): S3Error {
  return new S3Error(
    "MalformedXML",
    "The XML you provided was not well-formed or did not validate against our published schema",
    { cause },
  );
}
