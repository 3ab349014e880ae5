import { randomUUID } from "node:crypto";
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { StageError } from "@sluice/errors";
import type { Logger } from "pino";
import { failureError, toStageFailure } from "../stage-failure.ts";

/**
 * Turns whatever a service throws into what a caller may know: a ConnectError as it is, a StageError
 * with its StageFailure, anything else INTERNAL with an id that the log has too.
 */
export function translateErrors(log: Logger): Interceptor {
  return (next) => async (request) => {
    const method = `${request.service.typeName}/${request.method.name}`;
    try {
      const response = await next(request);
      if (!response.stream) {
        return response;
      }
      const { message } = response;
      return {
        ...response,
        message: (async function* () {
          try {
            yield* message;
          } catch (error) {
            throw translate(error, method, request.signal, log);
          }
        })(),
      };
    } catch (error) {
      throw translate(error, method, request.signal, log);
    }
  };
}

function translate(error: unknown, method: string, signal: AbortSignal, log: Logger): ConnectError {
  if (error instanceof ConnectError) {
    if (error.code === Code.Internal || error.code === Code.Unknown) {
      return internal(error.cause ?? error, method, log);
    }
    if (error.cause !== undefined) {
      log.warn({ method, code: Code[error.code], err: error.cause }, "call refused");
    }
    return error;
  }
  if (error instanceof StageError) {
    return failureError(toStageFailure(error), error);
  }
  if (signal.aborted && (error === signal.reason || isAbort(error))) {
    return ConnectError.from(signal.reason, Code.Canceled);
  }
  return internal(error, method, log);
}

function internal(cause: unknown, method: string, log: Logger): ConnectError {
  const id = randomUUID();
  log.error({ method, errorId: id, err: cause }, "call failed");
  return new ConnectError(`internal error ${id}`, Code.Internal, undefined, undefined, cause);
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === "AbortError";
}
