import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** Files that ClickHouse can fetch by `url()`: `content` gives the bytes of a name. */
export async function serveFiles(
  content: (name: string) => Uint8Array,
): Promise<{ origin: string } & AsyncDisposable> {
  const server = createServer((request, response) => {
    response.end(content(decodeURIComponent((request.url ?? "/").slice(1))));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}
