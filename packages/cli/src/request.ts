import { randomUUID } from "node:crypto";
import {
  type DescField,
  type DescMessage,
  fromJson,
  type JsonObject,
  type JsonValue,
  type Message,
} from "@bufbuild/protobuf";
import { pathToString } from "@bufbuild/protobuf/reflect";
import { createValidator } from "@bufbuild/protovalidate";
import { type RequestField, resourceOf } from "./fields.ts";
import type { Terminal } from "./terminal.ts";
import { usageError } from "./usage.ts";
import { readObject, toJson } from "./values.ts";

/** A field and what was written for it; several times for lists. */
export interface WrittenField {
  readonly field: RequestField;
  readonly values: readonly (string | true)[];
}

/** The request as JSON: a file's object first, then what the command line says. */
export async function toRequestJson(
  desc: DescMessage,
  written: readonly WrittenField[],
  file: string | undefined,
  terminal: Terminal,
): Promise<JsonObject> {
  const json: JsonObject = {};
  const resource = resourceOf(desc);
  if (file !== undefined) {
    const content = await readObject(file, terminal);
    if (resource === undefined || resource.jsonName in content) Object.assign(json, content);
    else json[resource.jsonName] = content;
  }
  for (const { field, values } of written) {
    const leaf = field.path.at(-1);
    if (leaf === undefined) continue;
    const each: JsonValue[] = [];
    for (const value of values) {
      try {
        each.push(await toJson(leaf, value, terminal));
      } catch (error) {
        if (error instanceof Error) error.message = `--${field.flag}: ${error.message}`;
        throw error;
      }
    }
    set(json, field.path, leaf.fieldKind === "list" ? each.flat() : (each.at(-1) ?? null));
  }
  if (resource !== undefined && desc.name.startsWith("Update") && json.updateMask === undefined) {
    json.updateMask = maskOf(json[resource.jsonName], written, file !== undefined);
  }
  // A call that the connection repeats begins nothing twice.
  const takesId = desc.fields.some(({ name }) => name === "request_id");
  if (takesId && json.request_id === undefined) json.requestId ??= randomUUID();
  return json;
}

/** The message of a JSON, which the API's own rules hold for. */
export function toMessage(desc: DescMessage, json: JsonValue): Message {
  let message: Message;
  try {
    message = fromJson(desc, json);
  } catch (error) {
    throw usageError(error instanceof Error ? error.message : String(error));
  }
  assertValid(desc, message);
  return message;
}

function assertValid(desc: DescMessage, message: Message): void {
  const result = createValidator().validate(desc, message);
  if (result.kind === "error") throw result.error;
  if (result.kind === "valid") return;
  // It may hold a part of its resource: only the service knows the rest.
  const part = /^(Update|Validate)/.test(desc.name) ? resourceOf(desc) : undefined;
  const violations = result.violations.filter(
    ({ field }) => part === undefined || field[0] !== part || field.length === 1,
  );
  if (violations.length > 0) {
    throw usageError(
      violations
        .map(({ field, message }) => `${pathToString(field) || desc.name}: ${message}`)
        .join("\n"),
    );
  }
}

function set(json: JsonObject, path: readonly DescField[], value: JsonValue): void {
  let at = json;
  for (const field of path.slice(0, -1)) {
    const inner = at[field.jsonName];
    if (isObject(inner)) at = inner;
    else {
      const made: JsonObject = {};
      at[field.jsonName] = made;
      at = made;
    }
  }
  const name = path.at(-1)?.jsonName ?? "";
  const before = at[name];
  // `--delimited` beside `--delimited.quote` adds nothing.
  if (isObject(before) && isObject(value)) Object.assign(before, value);
  else at[name] = value;
}

/** What an update changes: the flags that were given, and every top-level field of a file's resource. */
function maskOf(
  resource: JsonValue | undefined,
  written: readonly WrittenField[],
  ofFile: boolean,
): string {
  const paths = written
    .filter(({ field }) => field.path.length > 1 && !isIdentity(field.path[1]?.jsonName))
    .map(({ field }) =>
      field.path
        .slice(1)
        .map(({ jsonName }) => jsonName)
        .join("."),
    );
  const ofResource = ofFile && isObject(resource) ? Object.keys(resource) : [];
  const all = [...new Set([...paths, ...ofResource.filter((name) => !isIdentity(name))])];
  return all.filter((path) => !all.some((other) => path.startsWith(`${other}.`))).join(",");
}

const SERVER_MADE = ["id", "etag", "createTime", "updateTime"];
function isIdentity(name: string | undefined): boolean {
  return name !== undefined && SERVER_MADE.includes(name);
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
