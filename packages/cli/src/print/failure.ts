import { createRegistry, type JsonValue, toJson } from "@bufbuild/protobuf";
import { Code, type ConnectError } from "@connectrpc/connect";
import { ViolationsSchema } from "@sluice/api/buf/validate/validate_pb";
import { SERVICES } from "@sluice/api/control/v1/catalog";
import {
  type Coordinate,
  RetrySchema,
  type StageFailure,
  StageFailureSchema,
  StageSchema,
} from "@sluice/api/control/v1/failure_pb";
import { stringify } from "yaml";
import { shortEnum } from "../values.ts";
import { visible } from "./table.ts";

/** What stopped something: stage and code, what happened, where, and what to do. */
export function renderFailure(failure: StageFailure): string {
  const lines: [string, string][] = [
    ["where", placeOf(failure.coordinate)],
    ["seen", failure.seen],
    ["expected", failure.expected],
    ["what to do", failure.advice],
    ["trying again", RETRIES[shortEnum(RetrySchema, failure.retry)] ?? ""],
  ];
  const head = `${shortEnum(StageSchema, failure.stage)}.${failure.code}: ${visible(failure.message)}\n`;
  return `${head}${lines
    .filter(([, text]) => text !== "")
    .map(([name, text]) => `  ${name.padEnd(12)}  ${visible(text)}\n`)
    .join("")}`;
}

const RETRIES: Readonly<Record<string, string>> = {
  automatic: "happens by itself",
  "after-change": "helps once something was changed",
  never: "does not help",
};

/** `s3://bucket/key, gzip, entry a.csv, row 3, column email, byte 120`. */
function placeOf(at: Coordinate | undefined): string {
  if (at === undefined) return "";
  const object = at.bucket === "" && at.key === "" ? "" : `s3://${at.bucket}/${at.key}`;
  const parts = [
    object,
    ...at.layers.map(({ kind, name }) => (name === "" ? kind : `${kind} ${name}`)),
    at.entry === "" ? "" : `entry ${at.entry}`,
    at.row === undefined ? "" : `row ${at.row}`,
    at.column === "" ? "" : `column ${at.column}`,
    at.byteOffset === undefined ? "" : `byte ${at.byteOffset}`,
  ];
  return parts.filter((part) => part !== "").join(", ");
}

/** An error of a call, for people: its failure where it carries one, its fields where those are wrong. */
export function renderError(error: ConnectError, url: string): string {
  if (error.code === Code.Unavailable && error.findDetails(StageFailureSchema).length === 0) {
    return `${url} does not answer: ${error.rawMessage}\n  what to do    start it (npm start), or name another by --url, SLUICE_URL or a profile\n`;
  }
  if (error.code === Code.Unauthenticated) {
    return `unauthenticated: ${visible(error.rawMessage)}\n  what to do    name an API key by --key-file, SLUICE_API_KEY or a profile; an admin makes one by: sluice access create-api-key\n`;
  }
  const failures = error.findDetails(StageFailureSchema).map(renderFailure);
  const others = otherDetails(error).map((json) => stringify(json, { lineWidth: 0 }));
  const fields = error
    .findDetails(ViolationsSchema)
    .flatMap(({ violations }) => violations)
    .map(({ field, message }) => `  ${fieldPath(field?.elements ?? [])}: ${visible(message)}\n`);
  const code = codeName(error.code, " ");
  if (failures.length > 0) return [...failures, ...fields, ...others].join("");
  return fields.length > 0
    ? `${code}:\n${fields.join("")}${others.join("")}`
    : `${code}: ${visible(error.rawMessage)}\n${others.join("")}`;
}

const KNOWN: readonly string[] = [StageFailureSchema.typeName, ViolationsSchema.typeName];
const registry = createRegistry(...SERVICES.map(({ file }) => file));

/** What else an error says, in messages of the API: the findings of an import, ... */
function otherDetails(error: ConnectError): JsonValue[] {
  return error
    .findDetails(registry)
    .filter(({ $typeName }) => !KNOWN.includes($typeName))
    .flatMap((detail) => {
      const desc = registry.getMessage(detail.$typeName);
      return desc === undefined ? [] : [toJson(desc, detail)];
    });
}

/** The same for machines: one line of JSON. */
export function errorJson(error: ConnectError): string {
  return JSON.stringify({
    code: codeName(error.code, "_"),
    message: error.rawMessage,
    failures: error.findDetails(StageFailureSchema).map((each) => toJson(StageFailureSchema, each)),
    fields: error
      .findDetails(ViolationsSchema)
      .flatMap(({ violations }) => violations)
      .map(({ field, message, ruleId }) => ({
        path: fieldPath(field?.elements ?? []),
        rule: ruleId,
        message,
      })),
    details: otherDetails(error),
  });
}

/** `not found` of NotFound. */
function codeName(code: Code, between: string): string {
  return Code[code].replaceAll(/(?<=[a-z])(?=[A-Z])/g, between).toLowerCase();
}

interface PathElement {
  readonly fieldName: string;
  readonly subscript: { readonly case: string | undefined; readonly value?: unknown };
}

function fieldPath(elements: readonly PathElement[]): string {
  return elements
    .map(({ fieldName, subscript }) =>
      subscript.case === undefined ? fieldName : `${fieldName}[${String(subscript.value)}]`,
    )
    .join(".");
}
