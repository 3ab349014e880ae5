import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout } from "node:timers/promises";
import { pass } from "@sluice/streams";
import { afterEach, expect, test } from "vitest";
import { createInsertPath, type InsertRequest } from "../src/insert-request.ts";

/** What becomes of the chunks of a streamed body; the first server here reads more slowly than ClickHouse does. */

const STATEMENT = "INSERT INTO t FORMAT Parquet";
const CHUNKS = 64;
const CHUNK_BYTES = 65_536;

let server: Server | undefined;
afterEach(() => server?.close());

async function listen(answer: (request: IncomingMessage, response: ServerResponse) => unknown) {
  server = createServer(answer).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return createInsertPath({
    url: `http://127.0.0.1:${port}`,
    username: "loader",
    password: "",
    requestTimeoutMs: 20_000,
    maxOpenConnections: 2,
  });
}

function insertOf(chunks: readonly Uint8Array[]): InsertRequest {
  return {
    statement: STATEMENT,
    body: async function* () {
      yield* chunks;
    },
    byteLength: CHUNKS * CHUNK_BYTES,
    queryId: "q",
    deduplicationToken: "t",
    settings: {},
  };
}

const makeChunks = (): Uint8Array<ArrayBuffer>[] =>
  Array.from({ length: CHUNKS }, () => new Uint8Array(randomBytes(CHUNK_BYTES)));

const hashOf = (chunks: readonly Uint8Array[]): string => {
  const hash = createHash("sha256").update(`${STATEMENT}\n`);
  for (const chunk of chunks) hash.update(chunk);
  return hash.digest("hex");
};

test("come to a server that reads slowly as they are, and are freed once they are written", async () => {
  const received = createHash("sha256");
  const path = await listen(async (request, response) => {
    for await (const chunk of request) {
      received.update(chunk);
      await setTimeout(1);
    }
    response.setHeader("x-clickhouse-summary", '{"read_rows":"1","written_rows":"1"}').end();
  });
  const chunks = makeChunks();
  const sent = hashOf(chunks);
  await path.send(insertOf(chunks.map(pass)));
  expect(received.digest("hex")).toBe(sent);
  expect(chunks.map(({ byteLength }) => byteLength)).toEqual(Array(CHUNKS).fill(0));
  path.close();
});

test("stay as they are where their maker did not pass them on", async () => {
  const path = await listen((request, response) => {
    request
      .resume()
      .once("end", () =>
        response.setHeader("x-clickhouse-summary", '{"read_rows":"1","written_rows":"1"}').end(),
      );
  });
  const chunks = makeChunks();
  const before = hashOf(chunks);
  await path.send(insertOf(chunks));
  expect(hashOf(chunks)).toBe(before);
  path.close();
});
