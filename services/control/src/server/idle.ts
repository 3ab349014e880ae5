import type { IncomingMessage, ServerResponse } from "node:http";
import {
  constants,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type Http2Session,
} from "node:http2";
import { type Server, Socket } from "node:net";

type Request = IncomingMessage | Http2ServerRequest;
type Response = ServerResponse | Http2ServerResponse;
export type Handler = (request: Request, response: Response) => void;

/**
 * Ends requests that stop coming in the middle for so long. A caller that has sent everything may wait for ever: it
 * watches, and the silence is ours.
 */
export function endSlowRequests(server: Server, handler: Handler, idleMs: number): Handler {
  const busy = new WeakSet<Socket>();
  // Node would cut off every connection that is silent, also one that watches, if nobody listened.
  server.on("timeout", (silent: unknown) => {
    if (silent instanceof Socket && !busy.has(silent)) silent.destroy();
  });
  return (request, response) => {
    if ("stream" in request) {
      const { stream } = request;
      stream.setTimeout(idleMs, () => {
        const isWhole = stream.endAfterHeaders || stream.readableEnded;
        if (!isWhole) stream.close(constants.NGHTTP2_CANCEL);
      });
    } else {
      const { socket } = request;
      const onSilence = (): void => {
        if (!request.complete) request.destroy();
      };
      busy.add(socket);
      socket.setTimeout(idleMs).on("timeout", onSilence);
      response.once("close", () => {
        busy.delete(socket);
        socket.off("timeout", onSilence);
      });
    }
    handler(request, response);
  };
}

/** Closes a connection of HTTP/2 on which nothing is asked for so long. Clients open another when they need one. */
export function closeIdleSession(session: Http2Session, idleMs: number): void {
  let open = 0;
  session.on("stream", (stream) => {
    open += 1;
    stream.once("close", () => {
      open -= 1;
    });
  });
  session.setTimeout(idleMs, () => {
    if (open === 0) session.close();
  });
}
