import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Registry } from "./metrics.ts";
import type { Readiness } from "./readiness.ts";

/** A listener beside the service's own, for whoever operates it. */
export interface ProbeServer {
  /** Where it listens: http, without a path. */
  readonly url: string;
  close(): Promise<void>;
}

export interface ProbeOptions {
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  readonly registry: Registry;
  readonly readiness: Readiness;
}

/**
 * Serves `/metrics` for Prometheus, `/healthz` (the process turns its event loop) and `/readyz` (work can be done; 503
 * with what is missing otherwise). Nobody is asked for a credential, and nothing of a tenant is told.
 */
export async function serveProbes(options: ProbeOptions): Promise<ProbeServer> {
  const { registry, readiness } = options;
  const answer: Readonly<Record<string, (response: ServerResponse) => Promise<void>>> = {
    "/healthz": async (response) => say(response, 200, "alive"),
    "/readyz": async (response) => {
      const missing = await readiness();
      say(response, missing === undefined ? 200 : 503, missing ?? "ready");
    },
    "/metrics": async (response) => {
      const text = await registry.metrics();
      response.setHeader("content-type", registry.contentType);
      response.end(text);
    },
  };
  const server = createServer({ requestTimeout: 10_000, headersTimeout: 10_000 });
  server.maxConnections = 64;
  server.on("request", (request, response) => {
    // A body is asked for by none of these.
    request.resume();
    const { pathname } = URL.parse(request.url ?? "", "http://probe") ?? { pathname: "" };
    const found = Object.hasOwn(answer, pathname) ? answer[pathname] : undefined;
    if (found === undefined) return say(response, 404, "there is nothing here");
    if (request.method !== "GET" && request.method !== "HEAD") {
      return say(response, 405, "GET or HEAD");
    }
    found(response).catch(() => say(response, 500, "it could not be said"));
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port, options.host, () => {
      server.off("error", reject);
      resolve();
    });
  });
  // The parent's own handles keep the process alive; who only looks must not.
  server.unref();
  const { address, family, port } = server.address() as AddressInfo;
  return {
    url: `http://${family === "IPv6" ? `[${address}]` : address}:${port}`,
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}

function say(response: ServerResponse, status: number, word: string): void {
  response.statusCode = status;
  response.setHeader("content-type", "text/plain; charset=utf-8");
  response.end(`${word}\n`);
}
