import { EventEmitter, once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";

/** An S3 that takes every connection and never says a word. */
export interface SilentStore extends AsyncDisposable {
  readonly url: string;
  /** Resolves once somebody has asked it something. */
  readonly asked: Promise<unknown>;
  /** Resolves once a caller that asked has hung up. */
  readonly hungUp: Promise<unknown>;
}

export async function startSilentStore(): Promise<SilentStore> {
  const events = new EventEmitter();
  const asked = once(events, "asked");
  const hungUp = once(events, "hungUp");
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.once("data", () => events.emit("asked"));
    // A caller that hangs up may do so by a reset; the close tells of it either way.
    socket.on("error", () => undefined);
    socket.once("close", () => {
      sockets.delete(socket);
      events.emit("hungUp");
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    asked,
    hungUp,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
