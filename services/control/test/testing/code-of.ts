import { create, type DescMethod, type Message } from "@bufbuild/protobuf";
import { type Code, ConnectError, type Transport } from "@connectrpc/connect";
import { NotificationService } from "@sluice/api/control/v1/notification_service_pb";
import { isStreaming, isUnary } from "./ask.ts";

/** A request that is refused by whoever is let in: nothing is changed, and no watch waits for news. */
function emptyRequest(method: DescMethod): Message {
  return method === NotificationService.method.watchNotifications
    ? create(method.input, { afterEvent: -1n })
    : create(method.input);
}

/** Calls a method of whatever kind with a request, empty if not said, and gives the code it ends with. */
export async function codeOf(
  transport: Transport,
  method: DescMethod,
  request: Message = emptyRequest(method),
): Promise<Code | "ok"> {
  const stop = AbortSignal.timeout(20_000);
  try {
    if (isUnary(method)) {
      await transport.unary(method, stop, undefined, undefined, request);
    } else if (isStreaming(method)) {
      const requests = (async function* () {
        yield request;
      })();
      const { message } = await transport.stream(method, stop, undefined, undefined, requests);
      for await (const _ of message) break;
    }
    return "ok";
  } catch (error) {
    return ConnectError.from(error).code;
  }
}
