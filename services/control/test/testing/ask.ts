import {
  type DescMethod,
  type DescMethodStreaming,
  type DescMethodUnary,
  fromJson,
  type JsonObject,
  type Message,
  toJson,
} from "@bufbuild/protobuf";
import { ConnectError, type Transport } from "@connectrpc/connect";
import { SERVICES } from "@sluice/api/control/v1/catalog";

/** Every method of the public API, as CourierService/RunCourier. */
export const METHODS: ReadonlyMap<string, DescMethod> = new Map(
  SERVICES.flatMap((service) => service.methods).map((method) => [
    `${method.parent.name}/${method.name}`,
    method,
  ]),
);

export interface Answer {
  readonly json: JsonObject | undefined;
  /** Code and message. */
  readonly error: string;
}

/** Calls a method of whatever kind by its name; of a stream the first answer is enough. */
export async function ask(transport: Transport, name: string, body: JsonObject): Promise<Answer> {
  const method = METHODS.get(name);
  if (method === undefined) throw new Error(`there is no method ${name}`);
  const stop = AbortSignal.timeout(20_000);
  const request = fromJson(method.input, body);
  try {
    let answer: Message | undefined;
    if (isUnary(method)) {
      answer = (await transport.unary(method, stop, undefined, undefined, request)).message;
    } else if (isStreaming(method)) {
      const requests = (async function* () {
        yield request;
      })();
      const { message } = await transport.stream(method, stop, undefined, undefined, requests);
      for await (const item of message) {
        answer = item;
        break;
      }
    }
    const json = answer === undefined ? {} : toJson(method.output, answer);
    return { json: json as JsonObject, error: "" };
  } catch (error) {
    const { message, details } = ConnectError.from(error);
    const told = details.map((detail) => ("debug" in detail ? JSON.stringify(detail.debug) : ""));
    return { json: undefined, error: [message, ...told].join(" ") };
  }
}
export const isUnary = (method: DescMethod): method is DescMethodUnary =>
  method.methodKind === "unary";
export const isStreaming = (method: DescMethod): method is DescMethodStreaming => !isUnary(method);
