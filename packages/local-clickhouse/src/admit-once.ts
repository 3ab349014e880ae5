import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";

/**
 * An HTTP authentication server, in ClickHouse's sense, that says yes once and no for ever after.
 * The engine signs itself in as the user `default` before it opens a port, and it can neither be
 * given a password nor another name: so this is how nobody else becomes `default`.
 */
export async function admitOnce(): Promise<string> {
  // Known to the engine alone, so that nobody can be first.
  const path = `/${randomBytes(24).toString("hex")}`;
  let admitted = false;
  const server = createServer((request, response) => {
    const admit = !admitted && request.url === path;
    admitted ||= admit;
    response.writeHead(admit ? 200 : 403).end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  server.unref();
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return `http://127.0.0.1:${address.port}${path}`;
}
