import type { DescMethod, DescMethodStreaming, DescMethodUnary, Message } from "@bufbuild/protobuf";
import type { Interceptor, Transport } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import type { Profile } from "./config.ts";

/** What calls go through. */
export function connect({ url, key }: Profile): Transport {
  const authorized: Interceptor = (next) => async (request) => {
    if (key !== undefined) request.header.set("authorization", `Bearer ${key}`);
    return await next(request);
  };
  return createConnectTransport({ baseUrl: url, httpVersion: "2", interceptors: [authorized] });
}

/** Calls a method of whatever kind: its answers as they come, one for a unary method. */
export async function* invoke(
  transport: Transport,
  method: DescMethod,
  requests: Iterable<Message> | AsyncIterable<Message>,
  signal: AbortSignal,
): AsyncIterable<Message> {
  if (isStreaming(method)) {
    const { message } = await transport.stream(
      method,
      signal,
      undefined,
      undefined,
      toAsync(requests),
    );
    yield* message;
  } else if (isUnary(method)) {
    for await (const request of requests) {
      const { message } = await transport.unary(method, signal, undefined, undefined, request);
      yield message;
    }
  }
}

function isUnary(method: DescMethod): method is DescMethodUnary {
  return method.methodKind === "unary";
}

function isStreaming(method: DescMethod): method is DescMethodStreaming {
  return method.methodKind !== "unary";
}

async function* toAsync<T>(values: Iterable<T> | AsyncIterable<T>): AsyncIterable<T> {
  yield* values;
}
