import { IncomingMessage } from "node:http";

/** The answer's body as the stream it is on Node; undefined when there is none. */
export function toIncomingMessage(body: unknown): IncomingMessage | undefined {
  return body instanceof IncomingMessage ? body : undefined;
}

/** Closes the socket of a body that will not be read to its end. */
export function closeBody(body: unknown): void {
  const message = toIncomingMessage(body);
  // Whoever closes is not interested in how the rest of it fails.
  message?.on("error", () => {});
  message?.destroy();
}
