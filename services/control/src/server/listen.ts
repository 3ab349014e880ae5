import * as http from "node:http";
import * as http2 from "node:http2";
import type { AddressInfo, Server as NetServer, Socket } from "node:net";
import type { connectNodeAdapter } from "@connectrpc/connect-node";
import { closeIdleSession, endSlowRequests } from "./idle.ts";
import { handOver } from "./protocol-switch.ts";

type Handler = ReturnType<typeof connectNodeAdapter>;

/** Where and how to listen. */
export interface ListenOptions {
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  /** PEM. Without it the port answers HTTP/1.1 and HTTP/2 in clear text. */
  readonly tls?: { readonly cert: string; readonly key: string };
  readonly handler: Handler;
  /** A connection that has not said what it speaks after this time is closed. 10,000 when not set. */
  readonly prefaceTimeoutMs?: number;
  /** Requests that stop in the middle end after it. 60,000 when not set. */
  readonly idleTimeoutMs?: number;
  /**
   * Connections of HTTP/2 on which nothing is asked end after it. 1,200,000 when not set: more than what clients
   * wait, so that they close first, and no call meets a connection that is being closed.
   */
  readonly idleConnectionMs?: number;
}

/** A port that answers. */
export interface Listener {
  readonly url: string;
  /**
   * Takes no new connection or call, waits until the running calls are done, and cuts off what is
   * left after `graceMs`.
   */
  close(graceMs: number): Promise<void>;
}

/** What one connection may ask for at the same time, in calls; the rest waits. */
const MAX_CONCURRENT_STREAMS = 250;
const MAX_HEADER_BYTES = 16 * 1024;

/** Opens one port for gRPC, gRPC-Web and Connect, over HTTP/1.1 and HTTP/2. */
export async function listen(options: ListenOptions): Promise<Listener> {
  const sockets = new Set<Socket>();
  const sessions = new Set<http2.Http2Session>();
  const server =
    options.tls === undefined ? createClear(options, sessions) : createTls(options, options.tls);
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  server.on("session", (session: http2.Http2Session) => keep(sessions, session, options));
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port, options.host, () => {
      server.off("error", reject);
      resolve();
    });
  });
  const { address, family, port } = server.address() as AddressInfo;
  const host = family === "IPv6" ? `[${address}]` : address;
  return {
    url: `${options.tls === undefined ? "http" : "https"}://${host}:${port}`,
    close: (graceMs) => close(server, sockets, sessions, graceMs),
  };
}

/**
 * The HTTP/1.1 server does the listening, so that its limits on slow headers and requests are in
 * force; connections are looked at before it, or an HTTP/2 server, gets them.
 */
function createClear(options: ListenOptions, sessions: Set<http2.Http2Session>): NetServer {
  const http1 = http.createServer({ maxHeaderSize: MAX_HEADER_BYTES, headersTimeout: 30_000 });
  // A request as a whole may take long, as an upload does: what is limited is its silence.
  http1.requestTimeout = 0;
  const handler = endSlowRequests(http1, options.handler, idleMs(options));
  http1.on("request", handler);
  const h2 = http2.createServer(http2Options(), handler);
  h2.on("session", (session) => keep(sessions, session, options));
  const [serveHttp1] = http1.listeners("connection");
  if (serveHttp1 === undefined) {
    throw new Error("node:http no longer listens to connections");
  }
  http1.removeAllListeners("connection");
  http1.on("connection", (socket: Socket) => {
    handOver(socket, {
      timeoutMs: options.prefaceTimeoutMs ?? 10_000,
      http1: () => Reflect.apply(serveHttp1, http1, [socket]),
      http2: () => {
        // Connections of an HTTP/1.1 server stay open when the caller has ended his side. Of HTTP/2 that caller is gone:
        // a dead worker's claim must not go on waiting, and be given tasks.
        socket.allowHalfOpen = false;
        h2.emit("connection", socket);
      },
    });
  });
  return http1;
}

function createTls(
  options: ListenOptions,
  tls: { readonly cert: string; readonly key: string },
): NetServer {
  const server = http2.createSecureServer({
    ...http2Options(),
    ...tls,
    allowHTTP1: true,
    minVersion: "TLSv1.2",
  });
  server.on("request", endSlowRequests(server, options.handler, idleMs(options)));
  return server;
}

function idleMs({ idleTimeoutMs }: ListenOptions): number {
  return idleTimeoutMs ?? 60_000;
}

function http2Options(): http2.ServerOptions {
  return {
    settings: {
      maxConcurrentStreams: MAX_CONCURRENT_STREAMS,
      maxHeaderListSize: MAX_HEADER_BYTES,
      enablePush: false,
    },
  };
}

function keep(
  sessions: Set<http2.Http2Session>,
  session: http2.Http2Session,
  options: ListenOptions,
): void {
  sessions.add(session);
  closeIdleSession(session, options.idleConnectionMs ?? 1_200_000);
  session.once("close", () => sessions.delete(session));
}

async function close(
  server: NetServer,
  sockets: ReadonlySet<Socket>,
  sessions: ReadonlySet<http2.Http2Session>,
  graceMs: number,
): Promise<void> {
  const closed = new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
  for (const session of sessions) {
    session.close();
  }
  if ("closeIdleConnections" in server && typeof server.closeIdleConnections === "function") {
    server.closeIdleConnections();
  }
  const timer = setTimeout(() => {
    for (const socket of sockets) {
      socket.destroy();
    }
  }, graceMs);
  try {
    await closed;
  } finally {
    clearTimeout(timer);
  }
}
