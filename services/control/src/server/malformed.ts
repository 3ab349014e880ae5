import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";

/** As @connectrpc/connect writes it of bytes that are not the message they should be. */
const NOT_PARSED = /^parse binary: /;

/**
 * Bytes that are no message are the caller's fault: INVALID_ARGUMENT, as it is for JSON. The library answers INTERNAL,
 * and parses before any interceptor; but it ends the call with its error before it writes it down, and here it is
 * corrected in between. `onMalformed` hears of the method.
 */
export function refuseMalformed(
  onMalformed: (method: string) => void,
): (context: HandlerContext) => void {
  return ({ signal, service, method }) => {
    const correct = (): void => {
      const error: unknown = signal.reason;
      if (!(error instanceof ConnectError)) return;
      if (error.code !== Code.Internal || !NOT_PARSED.test(error.rawMessage)) return;
      Object.defineProperty(error, "code", { value: Code.InvalidArgument });
      onMalformed(`${service.name}/${method.name}`);
    };
    signal.addEventListener("abort", correct, { once: true });
  };
}
