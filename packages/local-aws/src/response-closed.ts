import type { ServerResponse } from "node:http";

/** Settles when the response is over, however it ended. */
export function responseClosed(response: ServerResponse): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  if (response.destroyed) resolve();
  else response.once("close", resolve);
  return promise;
}
