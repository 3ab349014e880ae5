import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { StageError } from "@sluice/errors";
import type { Resolve } from "@sluice/outbound";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createS3Source, type S3SourceOptions } from "../src/index.ts";

/** Attack R1: a credential's endpoint leads to no place of the inside that the operator did not allow. */

const servers: Server[] = [];
let asked: string[] = [];
let store: number;
let inside: number;

async function listen(answer: Parameters<typeof createServer>[1]): Promise<number> {
  const server = createServer(answer as never).listen(0, "127.0.0.1");
  servers.push(server);
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

beforeAll(async () => {
  inside = await listen((request, response) => {
    asked.push(`inside ${request.url}`);
    response.end("secret");
  });
  // A store that sends its callers on, by each status that means so.
  store = await listen((request, response) => {
    asked.push(`store ${request.url}`);
    const status = Number(/status-(\d+)/.exec(request.url ?? "")?.[1] ?? 200);
    const location = `http://127.0.0.1:${inside}/latest/meta-data`;
    response.writeHead(status, status === 200 ? { connection: "close" } : { location });
    response.end(
      status === 200 ? "<ListBucketResult><Name>acme-data</Name></ListBucketResult>" : "",
    );
  });
});
beforeEach(() => {
  asked = [];
});
afterAll(() => {
  for (const server of servers) server.close();
});

interface Changes {
  readonly endpoint: string;
  readonly allowed?: readonly string[];
  readonly resolve?: Resolve;
}

function options({ endpoint, allowed = [], resolve }: Changes): S3SourceOptions {
  return {
    connection: {
      bucket: "acme-data",
      endpoint,
      access: { kind: "key", accessKeyId: "A", secretAccessKey: "B" },
    },
    platform: { allowedHosts: new Set(allowed) },
    ...(resolve === undefined ? {} : { resolve }),
    maxAttempts: 2,
    backoffBaseMs: 1,
    backoffMaxMs: 1,
    connectTimeoutMs: 1000,
  };
}

/** What a listing ends with. */
async function outcome(changes: Changes, prefix = ""): Promise<string> {
  try {
    await using source = createS3Source(options(changes));
    await source.list({ prefix });
    return "listed";
  } catch (error) {
    return error instanceof StageError ? `${error.stage}.${error.code}` : String(error);
  }
}

const at = (host: string): string => `http://${host}:${store}`;
const standsFor =
  (...answers: string[]): Resolve =>
  async () => [
    { address: answers.length > 1 ? (answers.shift() ?? "") : (answers[0] ?? ""), family: 4 },
  ];

describe("an endpoint that the operator does not allow is refused, and nothing is sent:", () => {
  test.each([
    "http://169.254.169.254/",
    "http://[::ffff:169.254.169.254]/",
    "http://2852039166/",
    "http://127.1:9000/",
    "http://0.0.0.0/",
    "http://10.0.0.1/",
    "http://192.168.0.1/",
    "http://[fd00::1]/",
    "http://[fe80::1]/",
    "http://[::1]/",
    "http://[::127.0.0.1]/",
    "https://100.100.100.200/",
    "file:///etc/passwd",
    "gopher://127.0.0.1/",
    "unix:/var/run/docker.sock",
    "http://s3.amazonaws.com@evil.example/",
    "http://user:password@93.184.215.14/",
    "",
  ])("%s", (endpoint) => {
    expect(() => createS3Source(options({ endpoint }))).toThrow(
      expect.objectContaining({
        stage: "connect",
        code: "endpoint_refused",
        retry: "after_change",
      }),
    );
  });

  test.each(["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "0.0.0.0"])(
    "a name that stands for %s",
    async (address) => {
      const resolve: Resolve = async () => [{ address, family: address.includes(":") ? 6 : 4 }];
      expect(await outcome({ endpoint: at("store.example"), resolve })).toBe(
        "connect.endpoint_refused",
      );
      expect(asked).toEqual([]);
    },
  );

  test("localhost, by the system's own resolver", async () => {
    expect(await outcome({ endpoint: at("localhost") })).toBe("connect.endpoint_refused");
    expect(asked).toEqual([]);
  });
});

test("an endpoint that the operator allows is called, by address and by name", async () => {
  expect(await outcome({ endpoint: at("127.0.0.1"), allowed: ["127.0.0.1"] })).toBe("listed");
  const named = { endpoint: at("store.example"), allowed: ["store.example"] };
  expect(await outcome({ ...named, resolve: standsFor("127.0.0.1") })).toBe("listed");
  expect(asked).toHaveLength(2);
});

test("a name that is allowed and stands for the metadata of a cloud by now is refused", async () => {
  const resolve = standsFor("127.0.0.1", "169.254.169.254");
  await using source = createS3Source(
    options({ endpoint: at("store.example"), allowed: ["store.example"], resolve }),
  );
  // The store closes the connection, so that the next request looks at the name again.
  await source.list();
  await expect(source.list()).rejects.toMatchObject({ code: "endpoint_refused" });
  expect(asked).toHaveLength(1);
});

test("a name of AWS may stand for a private address, as in a VPC, and not for a link-local one", async () => {
  const endpoint = `http://s3.eu-west-1.amazonaws.com:${store}`;
  expect(await outcome({ endpoint, resolve: standsFor("127.0.0.1") })).toBe("listed");
  expect(await outcome({ endpoint, resolve: standsFor("169.254.169.254") })).toBe(
    "connect.endpoint_refused",
  );
  for (const host of ["amazonaws.com.evil.example", "evilamazonaws.com"]) {
    const changes = { endpoint: at(host), resolve: standsFor("127.0.0.1") };
    expect(await outcome(changes), host).toBe("connect.endpoint_refused");
  }
});

test.each([301, 302, 303, 307, 308])("a redirect by %i is not followed", async (status) => {
  const changes = { endpoint: at("127.0.0.1"), allowed: ["127.0.0.1"] };
  expect(await outcome(changes, `status-${status}`)).toMatch(/^connect\.\w+$/);
  expect(asked.length).toBeGreaterThan(0);
  expect(asked.filter((line) => line.startsWith("inside"))).toEqual([]);
});
