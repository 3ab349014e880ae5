import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, realpathSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { removeFile } from "./small-file.ts";

/** How long a server that is on its way out may take to leave. */
const LEAVING_MS = 1_000;

/**
 * Takes a data directory for this server alone, until the lock is disposed of or the process ends in whatever way:
 * the lock is a listening socket, so a file left over by a crash is known by nobody answering on it. The socket lies
 * in the system's folder for temporary files because its path may only be about 100 bytes long.
 */
export async function lockDataDir(dataDir: string): Promise<AsyncDisposable> {
  mkdirSync(dataDir, { recursive: true });
  const name = createHash("sha256").update(realpathSync(dataDir)).digest("hex").slice(0, 24);
  const path = join(tmpdir(), `sluice-local-aws-${name}.sock`);
  const server = (await listen(path)) ?? (await takeOver(path, dataDir));
  const waiting = new Set<Socket>();
  server.on("connection", (socket) => {
    waiting.add(socket.resume());
    // One that waits and leaves in whatever way is no business of this server's.
    socket.on("error", () => undefined).on("close", () => waiting.delete(socket));
  });
  return {
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, "close");
      server.close();
      for (const socket of waiting) socket.destroy();
      await closed;
    },
  };
}

async function takeOver(path: string, dataDir: string): Promise<Server> {
  if (await isFree(path)) {
    removeFile(path);
    const server = await listen(path);
    if (server !== undefined) return server;
  }
  throw new Error(`another local-aws is using ${dataDir}`);
}

async function listen(path: string): Promise<Server | undefined> {
  const server = createServer();
  server.listen(path);
  try {
    await once(server, "listening");
    return server;
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "EADDRINUSE") return undefined;
    throw new Error(`cannot lock the data directory by ${path}`, { cause });
  }
}

/** Whether the socket's owner is gone, or goes while we wait; a connection to it closes when it does. */
async function isFree(path: string): Promise<boolean> {
  const socket = connect(path);
  try {
    await once(socket, "connect");
  } catch {
    // Refused or absent: the process that made the socket is no more.
    return true;
  }
  const deadline = AbortSignal.timeout(LEAVING_MS);
  try {
    await once(socket.resume(), "close", { signal: deadline });
    return true;
  } catch {
    // A connection that breaks (reset before it was accepted) tells of an owner that has gone.
    return !deadline.aborted;
  } finally {
    socket.destroy();
  }
}
