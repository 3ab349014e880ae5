import { once } from "node:events";
import { createServer, type Server, type ServerResponse, request as send } from "node:http";
import type { AddressInfo } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { StageError } from "@sluice/errors";
import type { FaultEffect } from "@sluice/local-aws";
import { type Run, readerContract } from "@sluice/streams/testing";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import type { S3Source } from "../src/index.ts";
import { bytesOf, type CustomerBucket, openCustomerBucket, pin } from "./customer-bucket.ts";

/** Answers to a GET of one object. */
interface Served {
  requests: number;
  /** Answers whose connection the reader closed before every piece was sent. */
  cutShort: number;
}

/** Stands before the store and sends the bodies of its answers in pieces, each by a write of its own. */
interface SlicingProxy extends AsyncDisposable {
  readonly url: string;
  /** Has the body of this object sent in pieces of so many bytes, and watches its answers. */
  serve(key: string, pieceBytes: number): Served;
}

async function openSlicingProxy(target: string): Promise<SlicingProxy> {
  const served = new Map<string, { readonly pieceBytes: number; readonly seen: Served }>();
  const server: Server = createServer(({ method = "", url = "", headers }, outgoing) => {
    const serving = method === "GET" ? served.get(url.split(/[/?]/)[2] ?? "") : undefined;
    if (serving !== undefined) serving.seen.requests++;
    // The Host header stays: it is signed.
    const onward = send(`${target}${url}`, { method, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
      void (async () => {
        const body = Buffer.concat(await Array.fromAsync(answer));
        if (serving === undefined) outgoing.end(body);
        else await sendPieces(outgoing, body, serving.pieceBytes, serving.seen);
      })();
    });
    onward.end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    serve(key, pieceBytes) {
      const seen: Served = { requests: 0, cutShort: 0 };
      served.set(key, { pieceBytes, seen });
      return seen;
    },
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function sendPieces(
  outgoing: ServerResponse,
  body: Buffer,
  pieceBytes: number,
  seen: Served,
): Promise<void> {
  for (let at = 0; at < body.byteLength; at += pieceBytes) {
    if (outgoing.destroyed) {
      seen.cutShort++;
      return;
    }
    outgoing.write(body.subarray(at, at + pieceBytes));
    // The reader, in the same process, has its turn before the next piece.
    await nextTurn();
  }
  outgoing.end();
}

const sample = bytesOf(10_007);
const half = Math.floor(sample.byteLength / 2);

let customer: CustomerBucket;
let proxy: SlicingProxy;
let sliced: S3Source;
let direct: S3Source;
let impatient: S3Source;
let objects = 0;

beforeAll(async () => {
  customer = await openCustomerBucket();
  proxy = await openSlicingProxy(customer.aws.url);
  const { connection } = customer.options;
  sliced = customer.open({ connection: { ...connection, endpoint: proxy.url } });
  direct = customer.open();
  impatient = customer.open({ idleTimeoutMs: 150 });
});

afterAll(async () => {
  for (const source of [sliced, direct, impatient]) await source.close();
  await proxy[Symbol.asyncDispose]();
  await customer.aws.faults.clear();
  await customer[Symbol.asyncDispose]();
});

async function isCome(condition: () => boolean | Promise<boolean>): Promise<boolean> {
  await vi.waitFor(async () => expect(await condition()).toBe(true), { timeout: 5_000 });
  return true;
}

async function openObject(bytes: Uint8Array, pieceBytes: number): Promise<Run<Uint8Array>> {
  const key = `object-${++objects}`;
  await customer.put(key, bytes);
  const object = await pin(sliced, key);
  const seen = proxy.serve(key, pieceBytes);
  return {
    outputs: sliced.read(object),
    source: { pulled: () => seen.requests, isClosed: () => isCome(() => seen.cutShort === 1) },
  };
}

/** The sample as an object whose first answer has one fault, and every later one the other. */
async function openFaulty(
  source: S3Source,
  first: FaultEffect,
  later: FaultEffect,
): Promise<Run<Uint8Array>> {
  const { aws, bucket } = customer;
  const key = `object-${++objects}`;
  await customer.put(key, sample);
  const object = await pin(direct, key);
  const place = { bucket, key, operation: "GetObject" };
  await aws.faults.add({ ...place, effect: first, times: 1 });
  await aws.faults.add({ ...place, effect: later, skip: 1 });
  return {
    outputs: source.read(object),
    source: {
      pulled: () => 0,
      isClosed: () =>
        isCome(async () => (await aws.objectStatistics(bucket, key)).openResponses === 0),
    },
  };
}

// The source of this stage is a server, so the clauses stand for the same ones in a server's terms:
// - chunks of the source are the pieces in which the store sends the body of one answer;
// - to read the source is to ask for the object, and to close it is to close the connection while
//   the store is still sending;
// - an error of the source is a fault of the switchboard that lasts: the answer breaks at half of the
//   object and no other one comes. It is no StageError yet, so "as it is" means named and kept as cause;
// - the limit is how long an answer may give nothing, as the switchboard lets it stall; the object's
//   size as a limit is shown in odd-answers.test.ts.
// Empty chunks have no counterpart: no answer can carry one.
readerContract<Uint8Array>({
  name: "read of an S3 object",
  open: openObject,
  sample,
  collect: (chunks) => Buffer.concat(chunks),
  empty: { output: Buffer.alloc(0) },
  broken: {
    open: () =>
      openFaulty(
        direct,
        { kind: "short-body", afterBytes: half },
        { kind: "error", code: "InternalError" },
      ),
    expectError(error) {
      expect(error).toBeInstanceOf(StageError);
      expect(error).toMatchObject({
        stage: "connect",
        code: "source_unavailable",
        cause: { name: "InternalError" },
        coordinate: { key: `object-${objects}` },
      });
    },
  },
  limited: {
    open: () =>
      openFaulty(impatient, { kind: "stall", afterBytes: half }, { kind: "stall", afterBytes: 0 }),
    code: "stalled",
  },
});

test("the sample comes whole, and in more chunks than one when the store sends it in pieces", async () => {
  const { outputs, source } = await openObject(sample, 64);
  const chunks = await Array.fromAsync(outputs);
  expect(Buffer.concat(chunks).equals(sample)).toBe(true);
  expect(chunks.length).toBeGreaterThan(1);
  expect(source.pulled()).toBe(1);
});
