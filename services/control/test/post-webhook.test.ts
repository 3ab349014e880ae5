import { once } from "node:events";
import { createServer, type IncomingMessage, type Server } from "node:http";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { deliveryPauseMs } from "../src/notifications/outbox.ts";
import { type PostResult, postWebhook } from "../src/notifications/post-webhook.ts";

const taken: IncomingMessage[] = [];
let server: Server;
let port: number;
beforeAll(async () => {
  server = createServer((request, response) => {
    taken.push(request);
    // A body without an end: nobody waits for it.
    response.writeHead(202).write("never read");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  port = (server.address() as AddressInfo).port;
});
afterAll(async () => {
  server.closeAllConnections();
  server.close();
  await once(server, "close");
});

function post(url: string, allowed: readonly string[], signal?: AbortSignal): Promise<PostResult> {
  const posting = { url, deliveryId: "msg_1", body: "{}", key: Buffer.alloc(24, 1) };
  return postWebhook(posting, new Set(allowed), signal ?? new AbortController().signal);
}

test("posts to a name by the addresses that it stands for", async () => {
  expect(await post(`http://localhost:${port}/hook`, ["localhost"])).toEqual({
    statusCode: 202,
    error: "",
  });
  expect(taken.at(-1)?.headers).toMatchObject({
    host: `localhost:${port}`,
    "content-type": "application/json",
    "webhook-id": "msg_1",
  });
});

// Attack R1.
test("posts nothing to a name that stands for a place inside", async () => {
  const before = taken.length;
  const { error } = await post(`https://localhost:${port}/hook`, []);
  expect(error).toMatch(/^localhost: .* is not an address of the public internet/);
  expect((await post(`http://127.0.0.1:${port}/hook`, ["localhost"])).error).toMatch(/not https/);
  expect(taken).toHaveLength(before);
});

test("says why there was no answer", async () => {
  const silent = createTcpServer((socket) => socket.destroy());
  silent.listen(0, "127.0.0.1");
  await once(silent, "listening");
  const { port: silentPort } = silent.address() as AddressInfo;
  const result = await post(`http://127.0.0.1:${silentPort}/`, ["127.0.0.1"]);
  expect(result).toMatchObject({ statusCode: 0, error: expect.stringMatching(/hang up|reset/) });
  silent.close();
  const gone = await post(`http://127.0.0.1:${silentPort}/`, ["127.0.0.1"]);
  expect(gone.error).toContain("ECONNREFUSED");
});

test("ends with the service", async () => {
  const stopped = AbortSignal.abort(new Error("the service stops"));
  await expect(post(`http://127.0.0.1:${port}/`, ["127.0.0.1"], stopped)).rejects.toThrow();
});

test("the pauses between tries double up to an hour", () => {
  const pauses = [1, 2, 3, 10, 11, 500].map((attempts) => deliveryPauseMs(5_000, attempts));
  expect(pauses).toEqual([5_000, 10_000, 20_000, 2_560_000, 3_600_000, 3_600_000]);
});
