import { type DescMethod, isMessage, type JsonObject, type Message } from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { RunCourierGroupResponseSchema } from "@sluice/api/control/v1/courier_group_service_pb";
import { type Command, Option } from "commander";
import { flagsOf, isNeededText, positionalsOf, type RequestField, resourceOf } from "../fields.ts";
import { type ApiMethod, commentOf, methodName } from "../methods.ts";
import { kindOf, namesToIds } from "../names.ts";
import { toRequestJson, type WrittenField } from "../request.ts";
import { addSessionOptions, openSession } from "../session.ts";
import type { Terminal } from "../terminal.ts";
import { placeholderOf, shortNames } from "../values.ts";
import { answer, ask } from "./answer.ts";
import { type Example, exampleOf, renderExamples } from "./examples.ts";
import { follow } from "./follow.ts";
import { followGroup } from "./follow-group.ts";

/** How a command differs from the one that the method's messages describe by themselves. */
export interface Shape {
  readonly name: string;
  /** What it does; the method's own comment when not set. */
  readonly description?: string;
  /** Flags that stand as words after the others, each optional. */
  readonly words?: readonly string[];
  /** Only the flags below this one of a oneof are offered, without its name before them. */
  readonly under?: string;
  /** What the request says unless the command line says otherwise. */
  readonly defaults?: JsonObject;
  /** One that the method's messages describe when not set. */
  readonly examples?: readonly Example[];
  readonly group?: string;
  /** Of methods that begin a workflow: stay until it has ended, unless told otherwise. */
  readonly waits?: boolean;
  /** Prints the answer's one text alone, for pipes: the name of its field. */
  readonly prints?: string;
}

/** Adds a command for a method: its fields as words and flags, its comments as help. */
export function addApiCommand(
  parent: Command,
  terminal: Terminal,
  method: ApiMethod,
  shape: Shape,
): Command {
  const { desc } = method;
  const command = parent.command(shape.name).helpGroup(shape.group ?? "Commands:");
  command.description(shape.description ?? commentOf(`${desc.parent.typeName}.${desc.name}`));
  const words = wordsOf(desc, shape);
  for (const { field, isNeeded } of words) {
    const leaf = field.path.at(-1);
    const kind = leaf === undefined ? "" : kindOf(desc, leaf);
    const word = kind === "" ? field.flag : kind.replaceAll(/[_ ]/g, "-");
    command.argument(isNeeded ? `<${word}>` : `[${word}]`, describe(field));
  }
  const flags = offeredFlags(desc, shape).filter(
    (field) => !words.some((word) => word.field === field),
  );
  const options = new Map<string, RequestField>();
  for (const field of flags) {
    const option = toOption(field);
    options.set(option.attributeName(), field);
    command.addOption(option);
    if (!option.required && !option.optional) {
      command.addOption(new Option(`--no-${field.flag}`).hideHelp());
    }
  }
  const resource = resourceOf(desc.input);
  command.option(
    "-f, --file <file>",
    `JSON or YAML of the ${resource === undefined ? "request" : resource.name}; - for standard input. Flags go over it`,
  );
  if (isPaged(desc)) command.option("--all", "every page");
  if (beginsWorkflow(desc)) {
    if (shape.waits) command.option("--no-wait", "only begin the workflow, and print its id");
    else command.option("--wait", "stay until the workflow has ended");
  }
  addSessionOptions(command);
  const shown = words.filter(({ isNeeded }) => isNeeded).map(({ field }) => field);
  command.addHelpText("after", () =>
    helpAfter(method, shape.examples ?? [exampleOf(command, desc, shown)]),
  );
  command.action(async () => {
    const values = command.processedArgs.map((value: unknown) => String(value ?? ""));
    const written: WrittenField[] = words
      .map(({ field }, index) => ({ field, values: [values[index] ?? ""] }))
      .filter(({ values: [value] }) => value !== "");
    const opts: Record<string, unknown> = command.opts();
    for (const [name, field] of options) {
      const value = opts[name];
      if (value !== undefined) written.push({ field, values: toValues(value) });
    }
    const session = openSession(terminal, command);
    const file = typeof opts.file === "string" ? opts.file : undefined;
    const json = await namesToIds(
      session.transport,
      desc,
      { ...shape.defaults, ...(await toRequestJson(desc.input, written, file, terminal)) },
      terminal.signal,
    );
    if (isFollowed(desc)) {
      await follow(session, String(json.id ?? ""));
    } else if (beginsWorkflow(desc) && opts.wait === true) {
      const begun = await ask(session, desc, json);
      if (isMessage(begun, RunCourierGroupResponseSchema)) {
        await followGroup(session, begun.groupRun?.id ?? "");
      } else {
        await follow(session, textOf(desc, begun, "workflow_id"), { isBegun: true });
      }
    } else if (shape.prints !== undefined && !session.json) {
      terminal.out(`${textOf(desc, await ask(session, desc, json), shape.prints).trimEnd()}\n`);
    } else {
      await answer(session, desc, json, { all: opts.all === true });
    }
  });
  return command;
}

/** The words of a command: what the request needs, then what the shape adds. */
function wordsOf(desc: DescMethod, shape: Shape): { field: RequestField; isNeeded: boolean }[] {
  const added = (shape.words ?? []).flatMap((name) =>
    flagsOf(desc.input).filter(({ flag }) => flag === name),
  );
  return [
    ...positionalsOf(desc.input).map((field) => ({ field, isNeeded: true })),
    ...added.map((field) => ({
      field,
      isNeeded: field.path.slice(-1).every(isNeededText),
    })),
  ];
}

function offeredFlags(desc: DescMethod, { under, words = [] }: Shape): RequestField[] {
  const flags = flagsOf(desc.input).filter(({ flag }) => !words.includes(flag));
  if (under === undefined) return flags;
  const chosen = flags.find(({ flag }) => flag === under)?.path.at(-1);
  return flags.flatMap((field) => {
    if (field.flag.startsWith(`${under}.`)) {
      return [{ ...field, flag: field.flag.slice(under.length + 1) }];
    }
    const isOther = field.path.some((step) => step.oneof === chosen?.oneof && step.oneof);
    return isOther ? [] : [field];
  });
}

function toOption(field: RequestField): Option {
  const leaf = field.path.at(-1);
  if (leaf === undefined) throw new Error("a field without a path");
  const placeholder = placeholderOf(leaf);
  const value =
    placeholder === "boolean"
      ? ""
      : leaf.fieldKind === "message"
        ? ` [${placeholder}]`
        : ` <${placeholder}>`;
  const option = new Option(`--${field.flag}${value}`, describe(field));
  if (leaf.fieldKind === "list") {
    option.argParser((value: string, before: string[] | undefined) => [...(before ?? []), value]);
  }
  // Deep ones are many: they are taken, and shown by the reference.
  return field.flag.split(".").length > 2 ? option.hideHelp() : option;
}

function describe(field: RequestField): string {
  const leaf = field.path.at(-1);
  if (leaf === undefined) return "";
  const comment = commentOf(`${leaf.parent.typeName}.${leaf.name}`);
  const values = leaf.fieldKind === "enum" ? ` One of: ${shortNames(leaf.enum).join(", ")}.` : "";
  return `${comment}${values}`;
}

function helpAfter(method: ApiMethod, examples: readonly Example[]): string {
  return `${renderExamples(examples)}\nCalls ${methodName(method)}: docs/api.md tells of every field. @file stands for a file's content.`;
}

function isFollowed({ methodKind, name }: DescMethod): boolean {
  return methodKind === "server_streaming" && name === "WatchWorkflow";
}

function beginsWorkflow({ output, idempotency }: DescMethod): boolean {
  return (
    idempotency !== MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS &&
    (output === RunCourierGroupResponseSchema ||
      output.fields.some(({ name }) => name === "workflow_id"))
  );
}

/** A text of an answer. */
function textOf({ output }: DescMethod, message: Message, name: string): string {
  const field = output.fields.find((each) => each.name === name);
  return field === undefined ? "" : String(reflect(output, message).get(field));
}

function isPaged({ input, output }: DescMethod): boolean {
  return (
    input.fields.some(({ name }) => name === "page_token") &&
    output.fields.some(({ name }) => name === "next_page_token")
  );
}

function toValues(value: unknown): (string | true)[] {
  if (Array.isArray(value)) return value.map(String);
  return [value === true ? true : String(value)];
}
