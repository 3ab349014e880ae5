import {
  type DescMethod,
  type JsonObject,
  type JsonValue,
  type Message,
  toJson,
  toJsonString,
} from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import { invoke } from "../invoke.ts";
import { render } from "../print/render.ts";
import { toMessage } from "../request.ts";
import type { Session } from "../session.ts";
import { usageError } from "../usage.ts";

/** Calls a method and prints its answers, all pages of them if asked. */
export async function answer(
  session: Session,
  method: DescMethod,
  request: JsonObject,
  options: { readonly all?: boolean } = {},
): Promise<void> {
  let next: string | undefined;
  do {
    const json = next === undefined ? request : { ...request, pageToken: next };
    next = undefined;
    for await (const message of invoke(
      session.transport,
      method,
      [toMessage(method.input, json)],
      session.terminal.signal,
    )) {
      if (options.all) next = takeToken(method, message);
      print(session, method, message);
    }
  } while (next !== undefined);
}

/** Calls a unary method. */
export async function ask(
  { transport, terminal }: Session,
  method: DescMethod,
  request: JsonObject,
): Promise<Message> {
  for await (const message of invoke(
    transport,
    method,
    [toMessage(method.input, request)],
    terminal.signal,
  )) {
    return message;
  }
  throw new Error(`${method.name} gave no answer`);
}

export function print(
  { terminal, json, pick }: Session,
  method: DescMethod,
  message: Message,
): void {
  if (pick !== undefined) terminal.out(`${picked(toJson(method.output, message), pick)}\n`);
  else if (json) terminal.out(`${toJsonString(method.output, message)}\n`);
  else terminal.out(render(method.output, message));
}

/** A part of a JSON, texts without their quotes. */
export function picked(json: JsonValue, path: string): string {
  let at: unknown = json;
  for (const name of path.split(/[.[\]]+/).filter((part) => part !== "")) {
    at = typeof at === "object" && at !== null ? Reflect.get(at, name) : undefined;
  }
  if (at === undefined) throw usageError(`the answer has no ${path}`);
  return typeof at === "string" ? at : JSON.stringify(at);
}

/** The next page's token, which the printed page then need not show. */
function takeToken(method: DescMethod, message: Message): string | undefined {
  const field = method.output.fields.find(({ name }) => name === "next_page_token");
  if (field === undefined) return undefined;
  const whole = reflect(method.output, message);
  const token = String(whole.get(field));
  whole.clear(field);
  return token === "" ? undefined : token;
}
