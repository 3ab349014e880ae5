import { readFile } from "node:fs/promises";
import {
  type DescEnum,
  type DescField,
  type JsonObject,
  type JsonValue,
  ScalarType,
} from "@bufbuild/protobuf";
import { parse as parseYaml } from "yaml";
import { kebab } from "./methods.ts";
import type { Terminal } from "./terminal.ts";
import { usageError } from "./usage.ts";

/** What a person writes for a field of this kind, for help texts. */
export function placeholderOf(field: DescField): string {
  switch (field.fieldKind) {
    case "enum":
      return "name";
    case "list":
      return field.listKind === "message" ? "json" : "text";
    case "map":
      return "json";
    case "message":
      return VALUE_PLACEHOLDERS[field.message.typeName] ?? "json";
    case "scalar":
      return SCALAR_PLACEHOLDERS[field.scalar] ?? "number";
  }
}

const VALUE_PLACEHOLDERS: Readonly<Record<string, string>> = {
  "google.protobuf.FieldMask": "paths",
  "google.protobuf.Timestamp": "time",
  "google.protobuf.Duration": "seconds",
};

const SCALAR_PLACEHOLDERS: Readonly<Partial<Record<ScalarType, string>>> = {
  [ScalarType.STRING]: "text",
  [ScalarType.BYTES]: "file",
  [ScalarType.BOOL]: "boolean",
};

/** The short names of an enum's values: `load` for LOAD_OPERATION_LOAD. */
export function shortNames(desc: DescEnum): string[] {
  return desc.values
    .filter(({ number }) => number !== 0)
    .map(({ localName }) => kebabValue(localName));
}

/**
 * The protobuf JSON of what was written for a field. `@file` is the file's content, `@-` standard input, `@@` an @ that
 * begins a text. Messages and lists of messages are JSON or YAML.
 */
export async function toJson(
  field: DescField,
  written: string | true,
  terminal: Terminal,
): Promise<JsonValue> {
  switch (field.fieldKind) {
    case "message":
      return await messageJson(field.message.typeName, written, terminal);
    case "map":
      return await parseFile(written, terminal);
    case "list": {
      if (field.listKind === "message") {
        const value = await parseFile(written, terminal);
        return Array.isArray(value) ? value : [value];
      }
      const text = await readText(written, terminal);
      return field.listKind === "enum" ? enumJson(field.enum, text) : text;
    }
    case "enum":
      return enumJson(field.enum, await readText(written, terminal));
    case "scalar":
      return await scalarJson(field.scalar, written, terminal);
  }
}

/** A file of JSON or YAML, which holds one object. */
export async function readObject(file: string, terminal: Terminal): Promise<JsonObject> {
  const value = await parseFile(`@${file}`, terminal);
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw usageError(`${file} does not hold one object of JSON or YAML`);
  }
  return value;
}

async function messageJson(
  typeName: string,
  written: string | true,
  terminal: Terminal,
): Promise<JsonValue> {
  if (written === true) return {};
  if (typeName === "google.protobuf.FieldMask") {
    return written.replaceAll(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
  }
  if (typeName === "google.protobuf.Duration" && /^[0-9.]+$/.test(written)) return `${written}s`;
  if (/^google\.protobuf\.(Timestamp|Duration)$/.test(typeName)) return written;
  return await parseFile(written, terminal);
}

async function scalarJson(
  type: ScalarType,
  written: string | true,
  terminal: Terminal,
): Promise<JsonValue> {
  if (type === ScalarType.BOOL) {
    if (written === true || written === "true") return true;
    if (written === "false") return false;
    throw usageError(`${written} is neither true nor false`);
  }
  if (type === ScalarType.BYTES) {
    if (written === true || !written.startsWith("@")) {
      throw usageError("bytes are given as @file");
    }
    return (await readSource(written.slice(1), terminal)).toString("base64");
  }
  return await readText(written, terminal);
}

function enumJson(desc: DescEnum, written: string): string {
  const wanted = kebabValue(written);
  const value = desc.values.find(
    ({ name, localName }) => wanted === kebabValue(localName) || wanted === kebabValue(name),
  );
  if (value === undefined) {
    throw usageError(`${written} is none of ${shortNames(desc).join(", ")}`);
  }
  return value.name;
}

function kebabValue(name: string): string {
  return kebab(name.toLowerCase()).replaceAll("_", "-");
}

export async function readText(written: string | true, terminal: Terminal): Promise<string> {
  if (written === true) throw usageError("a value is missing");
  if (written.startsWith("@@")) return written.slice(1);
  if (!written.startsWith("@")) return written;
  return (await readSource(written.slice(1), terminal)).toString("utf8");
}

async function parseFile(written: string | true, terminal: Terminal): Promise<JsonValue> {
  const text = await readText(written, terminal);
  try {
    // JSON is YAML.
    return parseYaml(text, { schema: "core" });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw usageError(
      `${written === true ? "" : written.slice(0, 80)}: neither JSON nor YAML: ${reason}`,
    );
  }
}

async function readSource(file: string, terminal: Terminal): Promise<Buffer> {
  if (file === "-") return await terminal.readInput();
  try {
    return await readFile(file);
  } catch (error) {
    throw usageError(error instanceof Error ? error.message : String(error));
  }
}

/** The short name of an enum's value; nothing for the one that means "not set". */
export function shortEnum(desc: DescEnum, number: number): string {
  const value = desc.value[number];
  return number === 0 ? "" : value === undefined ? String(number) : kebabValue(value.localName);
}
