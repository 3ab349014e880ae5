import type { DescMethod, JsonValue, Message } from "@bufbuild/protobuf";
import type { Command } from "commander";
import { parseAllDocuments } from "yaml";
import { invoke } from "../invoke.ts";
import { commentOf, findMethod, METHODS, methodName } from "../methods.ts";
import { toMessage } from "../request.ts";
import { addSessionOptions, openSession } from "../session.ts";
import type { Terminal } from "../terminal.ts";
import { usageError } from "../usage.ts";
import { readText } from "../values.ts";
import { print } from "./answer.ts";

/** `sluice call`: any method, with JSON in and out. */
export function addCall(program: Command, terminal: Terminal): void {
  const command = program
    .command("call")
    .helpGroup("For programs:")
    .description("Call any method of the API: JSON or YAML in, JSON out, one message on each line")
    .argument("[method]", "Service/Method; without one, all are listed")
    .argument("[request]", "the request's JSON, @file, or - for standard input. {} when not given");
  addSessionOptions(command).addHelpText(
    "after",
    `
Examples:
  $ sluice call
      lists every method
  $ sluice call FeedService/ListFeeds '{"source": "example"}'
      asks one
  $ sluice call CourierService/CreateCourier @courier.yaml
      takes the request from a file
  $ sluice call WorkflowService/WatchWorkflow '{"id": "wf_..."}'
      prints every message of a stream as it comes

Methods that take a stream read one JSON on each line, or YAML documents.`,
  );
  command.action(async (name: string | undefined, request: string | undefined) => {
    if (name === undefined) {
      for (const method of METHODS) {
        const { desc } = method;
        const comment = commentOf(`${desc.parent.typeName}.${desc.name}`);
        terminal.out(`${methodName(method)}\n    ${comment}\n`);
      }
      return;
    }
    const method = findMethod(name);
    if (method === undefined) {
      throw usageError(`there is no method ${name}; \`sluice call\` lists all of them`);
    }
    const session = openSession(terminal, command);
    const requests = await toRequests(method.desc, request, terminal);
    const answers = invoke(session.transport, method.desc, requests, terminal.signal);
    for await (const message of answers) {
      print({ ...session, json: true }, method.desc, message);
    }
  });
}

async function toRequests(
  method: DescMethod,
  written: string | undefined,
  terminal: Terminal,
): Promise<Message[]> {
  const text = await readText(written === "-" ? "@-" : (written ?? "{}"), terminal);
  const isStream =
    method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming";
  const documents = isStream ? splitDocuments(text) : parseDocuments(text);
  if (!isStream && documents.length !== 1) {
    throw usageError(`${method.name} takes one request, not ${documents.length}`);
  }
  return documents.map((json) => toMessage(method.input, json));
}

/** One JSON on each line, or YAML documents. */
function splitDocuments(text: string): JsonValue[] {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  return lines.every((line) => line.startsWith("{"))
    ? lines.flatMap(parseDocuments)
    : parseDocuments(text);
}

function parseDocuments(text: string): JsonValue[] {
  const documents = [...parseAllDocuments(text, { schema: "core" })];
  for (const { errors } of documents) {
    const [first] = errors;
    if (first !== undefined) throw usageError(`neither JSON nor YAML: ${first.message}`);
  }
  return documents.map((document) => document.toJS());
}
