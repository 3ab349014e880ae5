import { once } from "node:events";
import {
  Agent,
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request,
  type ServerResponse,
} from "node:http";
import { type AddressInfo, createServer as createTcpServer, type Socket } from "node:net";

/** An answer, whole. */
export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

/** A request on its way, whole, and everything that may be done to it. */
export interface Call {
  readonly method: string;
  readonly url: URL;
  readonly headers: IncomingHttpHeaders;
  /** For ClickHouse the statement stands here, in front of the data. */
  readonly body: Buffer;
  /** Sends it on; with changes, if given. */
  forward(changed?: { readonly url?: URL; readonly body?: Buffer }): Promise<Answer>;
  /** Sends on so many bytes of the body and cuts the connection to the server. */
  forwardPart(bytes: number): Promise<void>;
  /** Answers. */
  reply(answer: Answer): void;
  /** Answers in pieces of equal length, with pauses between them. */
  replySlowly(answer: Answer, pieces: number, pauseMs: number): Promise<void>;
  /** Answers with the headers, so many bytes of the body, and then nothing, an end, or a reset. */
  replyPart(answer: Answer, bytes: number, then: "stall" | "end" | "reset"): Promise<void>;
  /** Cuts the connection to the client without an answer. */
  reset(): void;
}

/** What happens to calls of a kind. */
export interface Rule {
  readonly matches: (call: Call) => boolean;
  /** So many matching calls pass first. Default 0. */
  readonly skip?: number;
  /** How many calls it falls on. Default 1. */
  readonly times?: number;
  readonly act: (call: Call) => Promise<void>;
}

/** Stands in front of a server of HTTP on this machine, and does to each call what its rules say. */
export interface ScriptedProxy extends AsyncDisposable {
  readonly url: string;
  /** Origin of the server behind it. */
  target: string;
  /** Gives a function that tells how often the rule fired. */
  add(rule: Rule): () => number;
  /** Takes all rules away, and lets go of what stalls. */
  clear(): void;
  /** Refuses connections, and cuts those that are there. */
  refusing: boolean;
}

export async function createScriptedProxy(target: string): Promise<ScriptedProxy> {
  const rules = new Set<Rule & { seen: number; fired: number }>();
  const stalled = new Set<ServerResponse>();
  const agent = new Agent({ keepAlive: false });
  let refusing = false;

  const ruleFor = (call: Call): Rule | undefined => {
    for (const rule of rules) {
      if (!rule.matches(call)) continue;
      rule.seen++;
      if (rule.seen <= (rule.skip ?? 0) || rule.fired >= (rule.times ?? 1)) continue;
      rule.fired++;
      return rule;
    }
    return undefined;
  };
  const handle = async (incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> => {
    const parts: Buffer[] = [];
    for await (const part of incoming) parts.push(part as Buffer);
    const call = toCall(proxy, agent, incoming, outgoing, Buffer.concat(parts), stalled);
    const rule = ruleFor(call);
    if (rule === undefined) call.reply(await call.forward());
    else await rule.act(call);
  };
  const server = createServer((incoming, outgoing) => {
    // A client or a server that goes away in the middle is what this is for.
    outgoing.on("error", () => undefined);
    handle(incoming, outgoing).catch(() => cut(outgoing.socket));
  });
  server.keepAliveTimeout = 60_000;
  const door = createTcpServer((socket) => {
    if (refusing) cut(socket);
    else server.emit("connection", socket);
  });
  door.listen(0, "127.0.0.1");
  await once(door, "listening");
  const { port } = door.address() as AddressInfo;

  const proxy: ScriptedProxy = {
    url: `http://127.0.0.1:${port}`,
    target,
    add(rule) {
      const entry = { ...rule, seen: 0, fired: 0 };
      rules.add(entry);
      return () => entry.fired;
    },
    clear() {
      rules.clear();
      for (const response of stalled) cut(response.socket);
      stalled.clear();
    },
    get refusing() {
      return refusing;
    },
    set refusing(next) {
      refusing = next;
      if (next) server.closeAllConnections();
    },
    async [Symbol.asyncDispose]() {
      proxy.clear();
      agent.destroy();
      door.close();
      server.closeAllConnections();
    },
  };
  return proxy;
}

function toCall(
  proxy: ScriptedProxy,
  agent: Agent,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  body: Buffer,
  stalled: Set<ServerResponse>,
): Call {
  const { method = "GET", headers } = incoming;
  const url = new URL(incoming.url ?? "/", "http://proxy");
  const send = (path: string, length: number) =>
    request(`${proxy.target}${path}`, {
      agent,
      method,
      // The Host header stays: S3 signs it.
      headers: { ...without(headers), ...(length > 0 && { "content-length": length }) },
    });
  return {
    method,
    url,
    headers,
    body,
    async forward(changed = {}) {
      const data = changed.body ?? body;
      // As it came, byte for byte, unless it was changed: S3 signs the path too.
      const { url: to } = changed;
      const path = to === undefined ? (incoming.url ?? "/") : `${to.pathname}${to.search}`;
      const onward = send(path, data.byteLength);
      // Who gives up the request gives it up at the server too.
      outgoing.once("close", () => onward.destroy());
      onward.end(data);
      const [answer]: IncomingMessage[] = await once(onward, "response");
      if (answer === undefined) throw new Error("no answer");
      const parts: Buffer[] = [];
      for await (const part of answer) parts.push(part as Buffer);
      return {
        status: answer.statusCode ?? 500,
        headers: answer.headers,
        body: Buffer.concat(parts),
      };
    },
    async forwardPart(bytes) {
      const onward = send(incoming.url ?? "/", body.byteLength);
      onward.on("error", () => undefined);
      onward.write(body.subarray(0, bytes));
      await new Promise((resolve) => setTimeout(resolve, 100));
      onward.destroy();
    },
    reply(answer) {
      const isHead = method === "HEAD";
      const length = isHead ? {} : { "content-length": String(answer.body.byteLength) };
      outgoing.writeHead(answer.status, { ...without(answer.headers, isHead), ...length });
      outgoing.end(isHead ? undefined : answer.body);
    },
    async replySlowly(answer, pieces, pauseMs) {
      const { byteLength } = answer.body;
      outgoing.writeHead(answer.status, {
        ...without(answer.headers),
        "content-length": String(byteLength),
      });
      for (let piece = 0; piece < pieces; piece++) {
        const [from, to] = [piece, piece + 1].map((n) => Math.floor((n * byteLength) / pieces));
        outgoing.write(answer.body.subarray(from, to));
        await new Promise((resolve) => setTimeout(resolve, pauseMs));
      }
      outgoing.end();
    },
    async replyPart(answer, bytes, then) {
      outgoing.writeHead(answer.status, {
        ...without(answer.headers),
        "content-length": String(answer.body.byteLength),
      });
      outgoing.flushHeaders();
      const part = answer.body.subarray(0, bytes);
      if (part.byteLength > 0) await new Promise((resolve) => outgoing.write(part, resolve));
      // What was written must reach the client before a reset overtakes it.
      await new Promise((resolve) => setTimeout(resolve, 30));
      if (then === "stall") stalled.add(outgoing);
      else if (then === "end") outgoing.socket?.destroySoon();
      else cut(outgoing.socket);
    },
    reset() {
      cut(outgoing.socket);
    },
  };
}

/**
 * Resets a connection. One that has begun to end is closed without: node would keep its handle for ever, and turn in
 * circles when the process is to exit.
 */
function cut(socket: Socket | null): void {
  if (socket?.writableEnded === true) socket.destroy();
  else socket?.resetAndDestroy();
}

/** Headers that are of one connection. A HEAD's length is of the object. */
function without(headers: IncomingHttpHeaders, keepsLength = false): IncomingHttpHeaders {
  const {
    connection: _connection,
    "keep-alive": _keepAlive,
    "transfer-encoding": _encoding,
    "content-length": length,
    expect: _expect,
    ...rest
  } = headers;
  return { ...rest, ...(keepsLength && length !== undefined && { "content-length": length }) };
}
