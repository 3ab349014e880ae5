import {
  type DescEnum,
  type DescField,
  type DescFile,
  type DescMessage,
  type DescMethod,
  ScalarType,
} from "@bufbuild/protobuf";
import { nestedTypes } from "@bufbuild/protobuf/reflect";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { commentOf } from "./comments.ts";
import { isRequired, limitsOf, messageRulesOf } from "./limits.ts";

/** The API's reference in Markdown: services, methods, messages, fields, limits. */
export function writeReference(files: readonly DescFile[]): string {
  const types = files.flatMap((file) => [...nestedTypes(file)]);
  const services = types.filter((type) => type.kind === "service");
  const byName = (a: { typeName: string }, b: { typeName: string }): number =>
    a.typeName < b.typeName ? -1 : 1;
  const messages = types
    .filter((type) => type.kind === "message")
    .filter((type) => !type.proto.options?.mapEntry)
    .sort(byName);
  const enums = types.filter((type) => type.kind === "enum").sort(byName);
  return `${[
    "# API",
    "",
    "Generated from [proto/](../proto) by `npm run gen`. Every method is called by gRPC, gRPC-Web or Connect, and by plain",
    "`POST <url>/sluice.control.v1.<Service>/<Method>` with a JSON body; `sluice call <Service>/<Method>` calls it from a shell.",
    "A method that is *read only* has no effects.",
    "",
    ...services.map((service) => `- [${service.name}](#${anchor(service.name)})`),
    "",
    ...services.flatMap((service) => [
      `## ${service.name}`,
      "",
      commentOf(service),
      "",
      "| method | takes | gives | what |",
      "|---|---|---|---|",
      ...service.methods.map(methodRow),
      "",
    ]),
    "## Messages",
    "",
    ...messages.flatMap(messageLines),
    "## Enums",
    "",
    ...enums.flatMap(enumLines),
  ].join("\n")}`;
}

function methodRow(method: DescMethod): string {
  const takes = `${method.proto.clientStreaming ? "stream of " : ""}${link(method.input)}`;
  const gives = `${method.proto.serverStreaming ? "stream of " : ""}${link(method.output)}`;
  const isRead = method.idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS;
  return row(method.name, takes, gives, `${commentOf(method)}${isRead ? " *Read only.*" : ""}`);
}

function messageLines(message: DescMessage): string[] {
  const rules = messageRulesOf(message).map((rule) => `- Refused: ${rule}.`);
  return [
    `### ${nameOf(message)}`,
    "",
    commentOf(message),
    "",
    ...(rules.length === 0 ? [] : [...rules, ""]),
    ...(message.fields.length === 0
      ? []
      : [
          "| field | type | what | limits |",
          "|---|---|---|---|",
          ...message.fields.map(fieldRow),
          "",
        ]),
  ];
}

function fieldRow(field: DescField): string {
  const { oneof } = field;
  const limits = limitsOf(field).map((limit) => code(limit));
  if (oneof !== undefined) {
    limits.push(`${isRequired(oneof) ? "exactly" : "at most"} one of ${code(oneof.name)}`);
  }
  return row(code(field.name), typeOf(field), commentOf(field), limits.join(", "));
}

function enumLines(desc: DescEnum): string[] {
  return [
    `### ${nameOf(desc)}`,
    "",
    commentOf(desc),
    "",
    "| value | number | what |",
    "|---|---|---|",
    ...desc.values.map((value) => row(code(value.name), String(value.number), commentOf(value))),
    "",
  ];
}

function typeOf(field: DescField): string {
  switch (field.fieldKind) {
    case "scalar":
      return `${field.proto.proto3Optional ? "optional " : ""}${scalar(field.scalar)}`;
    case "message":
      return link(field.message);
    case "enum":
      return link(field.enum);
    case "list":
      return `list of ${
        field.listKind === "scalar" ? scalar(field.scalar) : link(field.message ?? field.enum)
      }`;
    case "map":
      return `map of ${scalar(field.mapKey)} to ${
        field.mapKind === "scalar" ? scalar(field.scalar) : link(field.message ?? field.enum)
      }`;
  }
}

function scalar(type: ScalarType): string {
  return (ScalarType[type] ?? "").toLowerCase();
}

function link(type: DescMessage | DescEnum): string {
  const name = nameOf(type);
  return type.file.proto.package === "sluice.control.v1" ? `[${name}](#${anchor(name)})` : name;
}

function nameOf(type: DescMessage | DescEnum): string {
  return type.typeName.replace(/^sluice\.control\.v1\./, "");
}

/** As GitHub makes it of a heading. */
function anchor(heading: string): string {
  return heading.toLowerCase().replaceAll(/[^a-z0-9_ -]/g, "");
}

function code(text: string): string {
  return `\`${text}\``;
}

/** A row of a table; a bar inside a cell would end it. */
function row(...cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
}
