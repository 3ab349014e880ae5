import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { setTimeout } from "node:timers/promises";

/** Stands between a client and a server on this machine, and can be a bad network. */
export interface TcpProxy extends AsyncDisposable {
  readonly url: string;
  /** The port that connections go on to; connections before it is set are refused. */
  target: number;
  /** Bytes a second from client to server, over all connections; unlimited when undefined. */
  bytesPerSecond: number | undefined;
  /** Whether nothing passes from client to server. */
  held: boolean;
  /** A connection over which a client sends this is not answered any more, for as long as it lasts. */
  unansweredAfter: string | undefined;
  /** Whether connections are cut, old ones and new ones. */
  refusing: boolean;
  /** Bytes that came from clients and were passed on. */
  readonly passed: number;
}

const TICK_MS = 20;

export async function createTcpProxy(): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  let target = 0;
  let held = false;
  let unansweredAfter: string | undefined;
  let refusing = false;
  let bytesPerSecond: number | undefined;
  let passed = 0;
  /** When the next byte may pass, by the throttle. */
  let due = 0;

  const forward = async (from: Socket, to: Socket, unanswer: () => void): Promise<void> => {
    for await (const chunk of from) {
      if (unansweredAfter !== undefined && chunk.includes(unansweredAfter)) unanswer();
      while (held && !to.destroyed) await setTimeout(TICK_MS);
      if (bytesPerSecond !== undefined) {
        const now = performance.now();
        due = Math.max(due, now) + (chunk.length / bytesPerSecond) * 1000;
        if (due > now) await setTimeout(due - now);
      }
      passed += chunk.length;
      if (!to.write(chunk)) await once(to, "drain");
    }
    to.end();
  };
  const server = createServer({ allowHalfOpen: true }, (client) => {
    if (refusing || target === 0) {
      client.resetAndDestroy();
      return;
    }
    const upstream = connect({ host: "127.0.0.1", port: target, allowHalfOpen: true });
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.once("close", () => sockets.delete(socket));
      // Either side may go away at any time; the other one is told by being closed too.
      socket.on("error", () => {
        client.destroy();
        upstream.destroy();
      });
    }
    upstream.pipe(client);
    forward(client, upstream, () => {
      upstream.unpipe(client);
      upstream.resume();
    }).catch(() => upstream.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;

  const cut = (): void => {
    for (const socket of sockets) socket.resetAndDestroy();
  };
  return {
    url: `http://127.0.0.1:${port}`,
    get target() {
      return target;
    },
    set target(next) {
      target = next;
    },
    get held() {
      return held;
    },
    set held(next) {
      held = next;
    },
    get unansweredAfter() {
      return unansweredAfter;
    },
    set unansweredAfter(next) {
      unansweredAfter = next;
    },
    get refusing() {
      return refusing;
    },
    set refusing(next) {
      refusing = next;
      if (next) cut();
    },
    get bytesPerSecond() {
      return bytesPerSecond;
    },
    set bytesPerSecond(next) {
      bytesPerSecond = next;
    },
    get passed() {
      return passed;
    },
    async [Symbol.asyncDispose]() {
      cut();
      server.close();
      await once(server, "close");
    },
  };
}
