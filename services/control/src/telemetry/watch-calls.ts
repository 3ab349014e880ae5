import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { parseTraceParent, type Tracing } from "@sluice/telemetry";
import type { ControlMetrics } from "./control-metrics.ts";

/** Counts and traces every call that was understood, whatever comes of it. Stands outside of everything else. */
export function watchCalls(
  { calls, callSeconds }: Pick<ControlMetrics, "calls" | "callSeconds">,
  tracing: Tracing,
): Interceptor {
  return (next) => async (request) => {
    const method = `${request.service.name}/${request.method.name}`;
    const began = performance.now();
    const span = tracing.begin(method, {
      kind: "server",
      parent: parseTraceParent(request.header.get("traceparent")),
      attributes: { "rpc.system.name": "connectrpc", "rpc.method": method },
    });
    const end = (code: string): void => {
      calls.inc({ method, code });
      callSeconds.observe({ method }, (performance.now() - began) / 1000);
      span.end(code === "ok" || code === "canceled" ? {} : { error: code });
    };
    try {
      const response = await next(request);
      if (!response.stream) {
        end("ok");
        return response;
      }
      const { message } = response;
      return {
        ...response,
        message: (async function* () {
          let code = "canceled";
          try {
            yield* message;
            code = "ok";
          } catch (error) {
            code = codeName(ConnectError.from(error).code);
            throw error;
          } finally {
            end(code);
          }
        })(),
      };
    } catch (error) {
      end(codeName(ConnectError.from(error).code));
      throw error;
    }
  };
}

/** A code as the Connect protocol writes it. */
export function codeName(code: Code): string {
  return Code[code].replaceAll(/(?<=[a-z])(?=[A-Z])/g, "_").toLowerCase();
}
