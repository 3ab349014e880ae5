import type { ServerResponse } from "node:http";
import type { ByteRange } from "./byte-range.ts";
import type { Exchange } from "./exchange.ts";
import type { FaultEffect } from "./faults.ts";
import type { ObjectLease, StoredObject } from "./object-store.ts";
import { readObject } from "./read-object.ts";
import { responseClosed } from "./response-closed.ts";

type BodyFault = Extract<FaultEffect, { afterBytes: number }>;

/** Streams a range of a version as the body of a response whose head is written, with the faults that fall on it. */
export async function sendObject(
  exchange: Exchange,
  lease: ObjectLease,
  range: ByteRange,
  faults: readonly BodyFault[],
): Promise<void> {
  const { response, state, bucketName, key } = exchange;
  const stops = [...faults].sort((a, b) => a.afterBytes - b.afterBytes);
  const body = createBodyWriter(response, (bytes) => {
    state.statistics.bytesSent(bucketName, key, bytes);
  });
  // Asked for now: a client that has seen the last byte may clear the faults before we look.
  const cleared = state.faults.cleared();
  state.statistics.responseOpened(bucketName, key);
  try {
    let sent = 0;
    for (const stop of stops) {
      // The client must not have it all before the new version is there.
      const last = stop.kind === "replace" ? Math.max(range.length - 1, 0) : range.length;
      const upTo = Math.max(sent, Math.min(stop.afterBytes, last));
      await copy(body, lease, { start: range.start + sent, length: upTo - sent });
      sent = upTo;
      await body.flushed();
      if (await isCutBy(stop, exchange, lease.object, cleared)) return;
    }
    await copy(body, lease, { start: range.start + sent, length: range.length - sent });
    await body.flushed();
    if (!response.destroyed) response.end();
  } finally {
    state.statistics.responseClosed(bucketName, key);
  }
}

async function copy(body: BodyWriter, lease: ObjectLease, range: ByteRange): Promise<void> {
  if (range.length <= 0) return;
  for await (const bytes of readObject(lease, range)) {
    if (!(await body.write(bytes))) return;
  }
  await body.flushed();
}

async function isCutBy(
  fault: BodyFault,
  exchange: Exchange,
  sending: StoredObject,
  cleared: Promise<void>,
): Promise<boolean> {
  const { response } = exchange;
  if (fault.kind === "reset") {
    response.socket?.resetAndDestroy();
    return true;
  }
  if (fault.kind === "short-body") {
    response.socket?.end();
    return true;
  }
  if (fault.kind === "stall") {
    await Promise.race([cleared, responseClosed(response)]);
    return response.destroyed;
  }
  await replaceObject(exchange, sending, fault.body);
  return false;
}

/** Makes another version of an object current: the given text, or the old bytes inverted. */
export async function replaceObject(
  exchange: Exchange,
  object: StoredObject,
  text: string | undefined,
): Promise<void> {
  const { objects } = exchange.state.storage(exchange.bucketName);
  using lease = objects.lease(object);
  const chunks =
    text === undefined
      ? inverted(readObject(lease, { start: 0, length: object.size }))
      : single(Buffer.from(text));
  const segment = await objects.write(chunks);
  objects.commit({
    key: object.key,
    size: segment.size,
    etag: segment.file.replaceAll("-", ""),
    lastModified: new Date(exchange.state.now()).toISOString(),
    headers: object.headers,
    isMultipart: false,
    segments: [segment],
  });
}

async function* inverted(source: AsyncIterable<Buffer>): AsyncIterable<Buffer> {
  for await (const bytes of source) yield Buffer.from(bytes.map((byte) => ~byte));
}

async function* single(bytes: Buffer): AsyncIterable<Buffer> {
  yield bytes;
}

interface BodyWriter {
  /** Waits until the piece before this one has left; false when the client has gone. */
  write(bytes: Buffer): Promise<boolean>;
  flushed(): Promise<void>;
}

// At most one piece is on its way while the next is being read, so that a slow client stops the reading.
function createBodyWriter(response: ServerResponse, onSent: (bytes: number) => void): BodyWriter {
  let pending: Promise<void> = Promise.resolve();
  const gone = responseClosed(response);
  const flushed = (): Promise<void> => Promise.race([pending, gone]);
  return {
    flushed,
    write: async (bytes) => {
      await flushed();
      if (response.destroyed) return false;
      const { promise, resolve } = Promise.withResolvers<void>();
      response.write(bytes, (error) => {
        if (!error) onSent(bytes.length);
        resolve();
      });
      pending = promise;
      return true;
    },
  };
}
