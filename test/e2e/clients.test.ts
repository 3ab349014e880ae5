import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Code, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import {
  credentials,
  type GrpcObject,
  loadPackageDefinition,
  Metadata,
  type ServiceClientConstructor,
  status,
} from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { FeedService } from "@sluice/api/control/v1/feed_service_pb";
import { withKey } from "@sluice/local";
import { afterAll, beforeAll, expect, test } from "vitest";
import { INTEGER, type Story, startStory } from "./story.ts";

/** Everybody speaks with control: grpc-js from the .proto files, Connect, gRPC-Web, and plain HTTP. */

const PROTO = fileURLToPath(new URL("../../proto", import.meta.url));
const BIN = fileURLToPath(new URL("../../node_modules/.bin/", import.meta.url));
const BUF = join(BIN, "buf");
const PROTOC_GEN_ES = join(BIN, "protoc-gen-es");

let story: Story;
let feedId = "";
beforeAll(async () => {
  story = await startStory();
  feedId = await story.feed("clients", "people", {
    fields: [{ incomingName: "id", type: INTEGER, require: true, semanticTags: ["pk"] }],
    primaryKey: ["id"],
  });
});
afterAll(async () => await story[Symbol.asyncDispose]());

/** The client class of a service that was loaded from its .proto file. */
function clientOf(root: GrpcObject, path: readonly string[]): ServiceClientConstructor {
  let at: GrpcObject[string] | undefined = root;
  for (const name of path) at = at === undefined ? at : Reflect.get(at, name);
  if (typeof at !== "function") throw new Error(`${path.join(".")} is no service`);
  return at;
}

test("a grpc-js client made of the .proto files gets the answers that the Connect client gets", async () => {
  const files = ["feed_service", "credential_service"].map(
    (name) => `sluice/control/v1/${name}.proto`,
  );
  const loaded = loadPackageDefinition(
    loadSync(files, { includeDirs: [PROTO], longs: String, enums: Number }),
  );
  const v1 = ["sluice", "control", "v1"];
  const host = new URL(story.local.url).host;
  const metadata = new Metadata();
  metadata.set("authorization", `Bearer ${story.local.adminKey}`);
  const call = async (service: string, method: string, request: object): Promise<unknown> => {
    const client = new (clientOf(loaded, [...v1, service]))(host, credentials.createInsecure());
    try {
      return await new Promise((resolve, reject) => {
        client[method]?.(request, metadata, (error: Error | null, response: unknown) =>
          error ? reject(error) : resolve(response),
        );
      });
    } finally {
      client.close();
    }
  };

  const { feed } = await story.feeds.getFeed({ id: feedId });
  expect(await call("FeedService", "getFeed", { id: feedId })).toMatchObject({
    feed: {
      id: feedId,
      source: "clients",
      name: "people",
      etag: feed?.etag,
      state: feed?.state,
      version: 1,
      spec: { primaryKey: ["id"], fields: [{ incomingName: "id", semanticTags: ["pk"] }] },
    },
  });
  expect(await call("CredentialService", "getPlatformIdentity", {})).toEqual({
    platformRoleArn: expect.stringMatching(/^arn:aws:iam::/),
    externalId: (await story.credentials.getPlatformIdentity({})).externalId,
  });
  await expect(call("FeedService", "getFeed", { id: "" })).rejects.toMatchObject({
    code: status.INVALID_ARGUMENT,
    details: expect.stringContaining("id"),
  });
});

test.each([
  ["Connect over HTTP/1.1", createConnectTransport, "1.1"],
  ["Connect over HTTP/2", createConnectTransport, "2"],
  ["gRPC-Web over HTTP/1.1", createGrpcWebTransport, "1.1"],
  ["gRPC-Web over HTTP/2", createGrpcWebTransport, "2"],
] as const)("%s answers on the same port", async (_, createTransport, httpVersion) => {
  const client = createClient(
    FeedService,
    createTransport({
      baseUrl: story.local.url,
      httpVersion,
      interceptors: [withKey(story.local.adminKey)],
    }),
  );
  expect((await client.getFeed({ id: feedId })).feed?.name).toBe("people");
  await expect(client.getFeed({ id: "nobody" })).rejects.toMatchObject({ code: Code.NotFound });
});

test("plain JSON over HTTP, as curl would send it", async () => {
  const ask = async (method: string, body: object): Promise<Response> =>
    await fetch(`${story.local.url}/sluice.control.v1.${method}`, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        authorization: `Bearer ${story.local.adminKey}`,
      },
      body: JSON.stringify(body),
    });
  const found = await ask("FeedService/GetFeed", { id: feedId });
  expect(await found.json()).toMatchObject({ feed: { name: "people", state: "STATE_ACTIVE" } });
  const refused = await ask("FeedService/CreateFeed", { feed: { source: "x", name: "y" } });
  expect(refused.status).toBe(400);
  expect(await refused.json()).toMatchObject({
    code: "invalid_argument",
    message: expect.stringContaining("feed.spec"),
  });
});

test("another team generates a client from proto/ alone", () => {
  const folder = mkdtempSync(join(tmpdir(), "sluice-proto-"));
  try {
    cpSync(PROTO, join(folder, "proto"), { recursive: true });
    const plugin = { local: PROTOC_GEN_ES, out: "out", opt: ["target=js"] };
    const template = JSON.stringify({ version: "v2", plugins: [plugin] });
    execFileSync(BUF, ["generate", "proto", "--template", template], { cwd: folder });
    const generated = join(folder, "out", "sluice", "control", "v1", "courier_service_pb.js");
    expect(existsSync(generated)).toBe(true);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
