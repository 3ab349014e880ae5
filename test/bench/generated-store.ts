import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

/** An object that is made while it is read: no disk holds it. */
export interface GeneratedObject {
  /** Bytes; exactly as many come from a reading of the whole. */
  readonly size: number;
  /** The bytes from `start` up to and without `end`, the same at every call. */
  read(start: number, end: number): Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
}

/** A store that answers what a load asks of S3, out of nothing. It believes every signature. */
export interface GeneratedStore extends AsyncDisposable {
  readonly url: string;
  readonly bucket: string;
  /** By key. */
  readonly objects: Map<string, GeneratedObject>;
}

const MODIFIED = new Date("2026-01-01T00:00:00Z");

export async function createGeneratedStore(): Promise<GeneratedStore> {
  const bucket = "generated";
  const objects = new Map<string, GeneratedObject>();
  const server = createServer((request, response) => {
    answer(request, response, bucket, objects).catch((error: unknown) => {
      // A reader that goes away in the middle is its own affair.
      response.destroy(error instanceof Error ? error : undefined);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    bucket,
    objects,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

const etagOf = (key: string): string => `"${createHash("md5").update(key).digest("hex")}"`;

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  bucket: string,
  objects: ReadonlyMap<string, GeneratedObject>,
): Promise<void> {
  request.resume();
  const url = new URL(request.url ?? "/", "http://store");
  const key = decodeURIComponent(url.pathname.slice(`/${bucket}/`.length));
  if (key === "") {
    response.setHeader("content-type", "application/xml");
    response.end(request.method === "HEAD" ? "" : listing(bucket, objects, url));
    return;
  }
  const object = objects.get(key);
  if (object === undefined) {
    response.writeHead(404, { "content-type": "application/xml" });
    response.end("<Error><Code>NoSuchKey</Code></Error>");
    return;
  }
  const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "");
  const start = Number(range?.[1] ?? 0);
  const end = range?.[2] ? Math.min(Number(range[2]) + 1, object.size) : object.size;
  response.writeHead(range === null ? 200 : 206, {
    "content-length": end - start,
    "content-type": "application/octet-stream",
    etag: etagOf(key),
    "last-modified": MODIFIED.toUTCString(),
    "accept-ranges": "bytes",
    ...(range && { "content-range": `bytes ${start}-${end - 1}/${object.size}` }),
  });
  if (request.method === "HEAD") response.end();
  else await pipeline(Readable.from(object.read(start, end)), response);
}

function listing(bucket: string, objects: ReadonlyMap<string, GeneratedObject>, url: URL): string {
  const prefix = url.searchParams.get("prefix") ?? "";
  const found = [...objects].filter(([key]) => key.startsWith(prefix));
  const contents = found.map(
    ([key, { size }]) =>
      `<Contents><Key>${key}</Key><Size>${size}</Size><ETag>${etagOf(key).replaceAll('"', "&quot;")}</ETag>` +
      `<LastModified>${MODIFIED.toISOString()}</LastModified><StorageClass>STANDARD</StorageClass></Contents>`,
  );
  return `<?xml version="1.0"?><ListBucketResult><Name>${bucket}</Name><IsTruncated>false</IsTruncated><KeyCount>${found.length}</KeyCount>${contents.join("")}</ListBucketResult>`;
}
