import { connect } from "node:net";
import { Counter } from "prom-client";
import { afterEach, expect, test } from "vitest";
import { createRegistry, type ProbeServer, serveProbes, within } from "../src/index.ts";

let server: ProbeServer | undefined;
afterEach(async () => await server?.close());

const start = async (readiness: () => Promise<string | undefined>): Promise<string> => {
  const registry = createRegistry();
  new Counter({ name: "things_total", help: "Things.", registers: [registry] }).inc(3);
  server = await serveProbes({ host: "127.0.0.1", port: 0, registry, readiness });
  return server.url;
};
const get = async (url: string, method = "GET"): Promise<[number, string]> => {
  const response = await fetch(url, { method });
  return [response.status, await response.text()];
};

test("being alive and being ready are two things", async () => {
  let missing: string | undefined = "database";
  const url = await start(async () => missing);
  expect(await get(`${url}/healthz`)).toEqual([200, "alive\n"]);
  expect(await get(`${url}/readyz`)).toEqual([503, "database\n"]);
  missing = undefined;
  expect(await get(`${url}/readyz`)).toEqual([200, "ready\n"]);
  missing = "database";
  expect(await get(`${url}/readyz`)).toEqual([503, "database\n"]);
});

test("metrics come as Prometheus reads them, with the process's own", async () => {
  const url = await start(async () => undefined);
  const response = await fetch(`${url}/metrics`);
  expect(response.headers.get("content-type")).toMatch(/^text\/plain.*version=0\.0\.4/);
  const text = await response.text();
  expect(text).toContain("\nthings_total 3\n");
  expect(text).toContain("\nprocess_resident_memory_bytes ");
});

test("nothing else is there, and nothing is changed", async () => {
  const url = await start(async () => undefined);
  expect((await get(`${url}/`))[0]).toBe(404);
  expect((await get(`${url}/constructor`))[0]).toBe(404);
  expect((await get(`${url}/metrics`, "POST"))[0]).toBe(405);
  expect((await get(`${url}/metrics`, "HEAD"))[0]).toBe(200);
});

test("a request that is none costs nobody else theirs", async () => {
  const url = await start(async () => undefined);
  const socket = connect(Number(new URL(url).port), "127.0.0.1");
  socket.on("error", () => undefined);
  socket.write("GET //[ HTTP/1.1\r\nhost: a\r\n\r\n");
  await new Promise((resolve) => socket.once("data", resolve));
  socket.destroy();
  expect((await get(`${url}/healthz`))[0]).toBe(200);
});

test("readiness that can't be told is an answer all the same", async () => {
  const url = await start(async () => {
    throw new Error("canary-4711");
  });
  expect(await get(`${url}/readyz`)).toEqual([500, "it could not be said\n"]);
});

test("a look that hangs or fails is none", async () => {
  expect(await within(20, async () => await new Promise(() => undefined))).toBe(false);
  expect(await within(1_000, async () => await Promise.reject(new Error("away")))).toBe(false);
  expect(await within(1_000, async () => undefined)).toBe(true);
});
