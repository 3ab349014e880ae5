import { create, type DescMessage, type DescService, type Message } from "@bufbuild/protobuf";
import { pathToString } from "@bufbuild/protobuf/reflect";
import type { Interceptor } from "@connectrpc/connect";
import { invalidRequest, isInside, isJudgedHastily, violationsOf } from "./field-violations.ts";

/**
 * Methods whose resource can only be judged once the service has filled it in: an update names some
 * fields and keeps the others, a feed's field takes its name from the file. Their services validate
 * the resource themselves, and a call that asks what is wrong with a feed is to be told so.
 */
function resourceLeftToService(input: DescMessage): string | undefined {
  const hasMask = input.fields.some((field) => field.name === "update_mask");
  if (hasMask) {
    return input.fields.find((field) => field.fieldKind === "message" && field.number === 1)?.name;
  }
  return ["CreateFeedRequest", "ValidateFeedRequest"].includes(input.name) ? "feed" : undefined;
}

/** Refuses requests that break the rules written in the API, naming every field that does. */
export const validateRequests: Interceptor = (next) => (request) => {
  const { input } = request.method;
  if (!request.stream) {
    assertValid(input, request.message);
    return next(request);
  }
  const { message } = request;
  return next({
    ...request,
    message: (async function* () {
      for await (const item of message) {
        assertValid(input, item);
        yield item;
      }
    })(),
  });
};

/** Compiles the rules of services' requests, so that no caller waits for it. */
export function warmUp(services: readonly DescService[]): void {
  for (const service of services) {
    for (const method of service.methods) {
      violationsOf(method.input, create(method.input));
    }
  }
}

function assertValid(input: DescMessage, message: Parameters<typeof violationsOf>[1]): void {
  const left = resourceLeftToService(input);
  const violations =
    left !== undefined && isJudgedHastily(input, message)
      ? violationsBeside(left, input, message)
      : violationsOf(input, message).filter(
          (violation) => left === undefined || !isInside(violation, left),
        );
  if (violations.length > 0) {
    throw invalidRequest(violations);
  }
}

/** What is wrong with the rest of a request: the first thing wrong with its large resource would hide it. */
function violationsBeside(
  resource: string,
  input: DescMessage,
  message: Message,
): ReturnType<typeof violationsOf> {
  const field = input.fields.find(({ name }) => name === resource);
  const rest = { ...message, [field?.localName ?? ""]: undefined };
  return violationsOf(input, rest).filter(({ field: path }) => pathToString(path) !== resource);
}
