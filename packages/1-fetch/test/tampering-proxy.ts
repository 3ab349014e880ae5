import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, request as send } from "node:http";
import type { AddressInfo } from "node:net";

/** An answer on its way back, the body whole. */
export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

/** Sits between the product and the store and changes answers: what middleboxes and odd stores do. */
export interface TamperingProxy extends AsyncDisposable {
  readonly url: string;
  /** Applied to every answer to a GET or HEAD; undefined passes it on unchanged. */
  tamper: ((answer: Answer, method: string) => void) | undefined;
  /** Connections that were ever opened. */
  connections: number;
  /** Takes requests and answers none. */
  isSilent: boolean;
  /** Headers of the requests seen, newest last. */
  readonly seen: IncomingHttpHeaders[];
}

export async function openTamperingProxy(target: string): Promise<TamperingProxy> {
  const seen: IncomingHttpHeaders[] = [];
  const server = createServer((incoming, outgoing) => {
    seen.push(incoming.headers);
    if (proxy.isSilent) return;
    // The Host header stays: it is signed.
    const { method, url, headers } = incoming;
    const onward = send(
      `${target}${url}`,
      { ...(method === undefined ? {} : { method }), headers },
      (answer) => {
        void (async () => {
          const chunks: Buffer[] = [];
          for await (const chunk of answer) chunks.push(chunk);
          const changed: Answer = {
            status: answer.statusCode ?? 500,
            headers: answer.headers,
            body: Buffer.concat(chunks),
          };
          proxy.tamper?.(changed, method ?? "");
          outgoing.writeHead(changed.status, changed.headers);
          outgoing.end(changed.body);
        })();
      },
    );
    incoming.pipe(onward);
  });
  server.on("connection", () => {
    proxy.connections++;
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const proxy: TamperingProxy = {
    url: `http://127.0.0.1:${port}`,
    tamper: undefined,
    connections: 0,
    isSilent: false,
    seen,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
    },
  };
  return proxy;
}

/** Makes an answer S3's error document. */
export function toError(answer: Answer, status: number, code: string, extra = ""): void {
  answer.status = status;
  answer.body = Buffer.from(
    `<Error><Code>${code}</Code><Message>told by S3</Message>${extra}</Error>`,
  );
  answer.headers = {
    "content-type": "application/xml",
    "content-length": String(answer.body.length),
    "x-amz-request-id": "REQUEST1",
  };
}
