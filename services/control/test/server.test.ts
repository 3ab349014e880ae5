import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect as connectHttp2, constants, type Http2ServerRequest } from "node:http2";
import { request as requestHttps } from "node:https";
import { type AddressInfo, connect, createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { create, createFileRegistry, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { CredentialService } from "@sluice/api/control/v1/credential_service_pb";
import { SourceService } from "@sluice/api/control/v1/source_service_pb";
import {
  Health,
  HealthCheckResponse_ServingStatus as Status,
} from "@sluice/api/grpc/health/v1/health_pb";
import { ServerReflection } from "@sluice/api/grpc/reflection/v1/reflection_pb";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { listen } from "../src/server/listen.ts";
import {
  authorized,
  type ControlUnderTest,
  startControlUnderTest,
} from "./testing/control-under-test.ts";
import { DATABASES, type TestDatabase } from "./testing/databases.ts";
import { CRASH, type InspectDouble, startInspectDouble } from "./testing/inspect-double.ts";

const fixture = (name: string): string =>
  fileURLToPath(new URL(`./fixtures/${name}`, import.meta.url));

const [pglite] = DATABASES;
let database: TestDatabase;
let control: ControlUnderTest;

beforeAll(async () => {
  if (pglite === undefined) {
    throw new Error("there is no database to test on");
  }
  database = await pglite.create();
  control = await startControlUnderTest(database, { SLUICE_READ_MAX_BYTES: "20000" });
}, 120_000);
afterAll(async () => {
  await control?.close();
  await database?.remove();
});

/** Where to call, with the key of an admin. */
const keyed = (baseUrl: string) => ({
  baseUrl,
  interceptors: [authorized(`Bearer ${control.adminKey}`)],
});

const rejection = async (call: Promise<unknown>): Promise<ConnectError> => {
  try {
    await call;
  } catch (error) {
    return ConnectError.from(error);
  }
  throw new Error("the call was not refused");
};

describe("one port", () => {
  test.each([
    ["gRPC over HTTP/2", (baseUrl: string) => createGrpcTransport({ ...keyed(baseUrl) })],
    [
      "Connect over HTTP/2",
      (baseUrl: string) => createConnectTransport({ ...keyed(baseUrl), httpVersion: "2" }),
    ],
    [
      "Connect over HTTP/1.1",
      (baseUrl: string) => createConnectTransport({ ...keyed(baseUrl), httpVersion: "1.1" }),
    ],
    [
      "gRPC-Web over HTTP/2",
      (baseUrl: string) => createGrpcWebTransport({ ...keyed(baseUrl), httpVersion: "2" }),
    ],
    [
      "gRPC-Web over HTTP/1.1",
      (baseUrl: string) => createGrpcWebTransport({ ...keyed(baseUrl), httpVersion: "1.1" }),
    ],
  ])("answers %s", async (_name, transport) => {
    const client = createClient(SourceService, transport(control.url));
    const { plugins } = await client.listPlugins({ search: "AMA" });
    expect(plugins.map((plugin) => plugin.name)).toEqual(["Amazon S3"]);
    const error = await rejection(client.deleteSource({ id: "none" }));
    expect(error.code).toBe(Code.NotFound);
  });

  test("answers a plain JSON post, and a get of what has no side effects", async () => {
    const { status, body } = await control.post("SourceService/ListPlugins", {});
    expect(status).toBe(200);
    expect(body.plugins[0].id).toBe("amazon-s3");
    const query = new URLSearchParams({ connect: "v1", encoding: "json", message: "{}" });
    const got = await fetch(`${control.url}/sluice.control.v1.SourceService/ListPlugins?${query}`, {
      headers: { authorization: `Bearer ${control.adminKey}` },
    });
    expect(await got.json()).toEqual(body);
  });

  test("takes an HTTP/2 preface that comes byte by byte", async () => {
    const { hostname, port } = new URL(control.url);
    const socket = connect(Number(port), hostname);
    await once(socket, "connect");
    socket.setNoDelay(true);
    const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    for (const byte of preface) {
      await new Promise<void>((resolve) => socket.write(byte, "latin1", () => resolve()));
    }
    // An empty SETTINGS frame; a server answers with its own.
    socket.write(Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]));
    const [frame] = (await once(socket, "data")) as [Buffer];
    expect(frame[3]).toBe(4);
    socket.destroy();
  });

  test("closes a connection that never says what it speaks", async () => {
    const listener = await listen({
      host: "127.0.0.1",
      port: 0,
      prefaceTimeoutMs: 20,
      handler: (_request, response) => response.end(),
    });
    const { hostname, port } = new URL(listener.url);
    const socket = connect(Number(port), hostname);
    socket.write("PRI * HT");
    await once(socket, "close");
    await listener.close(0);
  });

  test("a call over HTTP/2 ends with the process that made it", async () => {
    const begun = Promise.withResolvers<Http2ServerRequest>();
    const listener = await listen({
      host: "127.0.0.1",
      port: 0,
      handler: (request) => {
        if ("stream" in request) begun.resolve(request);
      },
    });
    const { hostname, port } = new URL(listener.url);
    const onward = connect(Number(port), hostname);
    const relay = createServer((caller) => caller.pipe(onward, { end: false }).pipe(caller));
    relay.listen(0, hostname);
    await once(relay, "listening");
    const session = connectHttp2(`http://${hostname}:${(relay.address() as AddressInfo).port}`);
    session.on("error", () => undefined);
    session.request({ ":path": "/" }).on("error", () => undefined);
    const { stream } = await begun.promise;
    const closed = once(stream, "close");
    // A process that is killed says nothing in HTTP/2: its system ends the connection.
    onward.end();
    await closed;
    expect(stream.rstCode).toBe(constants.NGHTTP2_CANCEL);
    session.destroy();
    onward.destroy();
    relay.close();
    await listener.close(0);
  });

  test("answers HTTP/1.1 and HTTP/2 over TLS when it has a certificate", async () => {
    const cert = readFileSync(fixture("tls-cert.pem"), "utf8");
    const listener = await listen({
      host: "127.0.0.1",
      port: 0,
      tls: { cert, key: readFileSync(fixture("tls-key.pem"), "utf8") },
      handler: (request, response) => response.end(request.httpVersion),
    });
    expect(listener.url).toMatch(/^https:/);
    const seen: string[] = [];
    const old = requestHttps(listener.url, { ca: cert, agent: false }).end();
    const [response] = await once(old, "response");
    for await (const chunk of response) {
      seen.push(String(chunk));
    }
    const session = connectHttp2(listener.url, { ca: cert });
    const stream = session.request({ ":path": "/" });
    for await (const chunk of stream) {
      seen.push(String(chunk));
    }
    session.close();
    await listener.close(1000);
    expect(seen).toEqual(["1.1", "2.0"]);
  });
});

test("with a certificate the whole API is served over TLS, gRPC and JSON alike", async () => {
  const place = await pglite?.create();
  if (place === undefined) {
    throw new Error("there is no database to test on");
  }
  const secure = await startControlUnderTest(place, {
    SLUICE_TLS_CERT: fixture("tls-cert.pem"),
    SLUICE_TLS_KEY: fixture("tls-key.pem"),
  });
  const nodeOptions = { ca: readFileSync(fixture("tls-cert.pem"), "utf8") };
  const baseUrl = secure.url;
  const interceptors = [authorized(`Bearer ${secure.adminKey}`)];
  for (const transport of [
    createGrpcTransport({ baseUrl, nodeOptions, interceptors }),
    createConnectTransport({
      ...{ baseUrl, nodeOptions, interceptors },
      httpVersion: "1.1",
      useBinaryFormat: false,
    }),
  ]) {
    const { plugins } = await createClient(SourceService, transport).listPlugins({});
    expect(plugins).toHaveLength(1);
  }
  await secure.close();
  await place.remove();
}, 60_000);

describe("limits", () => {
  test("a message over the limit is refused, and the service goes on", async () => {
    const client = control.client(SourceService);
    const error = await rejection(client.listPlugins({ search: "x".repeat(30_000) }));
    expect(error.code).toBe(Code.ResourceExhausted);
    expect((await client.listPlugins({})).plugins).toHaveLength(1);
  });

  test("a timeout beyond the limit is refused", async () => {
    const client = control.client(SourceService);
    const error = await rejection(client.listPlugins({}, { timeoutMs: 3_600_000 }));
    expect(error.code).toBe(Code.InvalidArgument);
    expect(error.rawMessage).toContain("timeout");
  });

  test("JSON that is none is the caller's mistake", async () => {
    const { status, body } = await control.post("SourceService/ListPlugins", '{"search": ');
    expect(status).toBe(400);
    expect(body.code).toBe("invalid_argument");
  });

  test("a method that is not there is unimplemented", async () => {
    const response = await fetch(`${control.url}/sluice.control.v1.SourceService/Nothing`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "{}",
    });
    expect(response.status).toBe(404);
    await response.body?.cancel();
  });
});

describe("faults", () => {
  let inspect: InspectDouble;
  let credentialId: string;

  beforeAll(async () => {
    inspect = await startInspectDouble();
    const { body } = await control.post("CredentialService/CreateCredential", {
      credential: {
        name: "faults",
        iamRoleToRole: { targetRoleArn: "arn:aws:iam::123456789012:role/r", bucket: "acme-data" },
      },
    });
    credentialId = body.credential.id;
  });
  afterAll(async () => {
    await inspect?.close();
  });

  test("what nobody foresaw is told with an id that the log has too, and with nothing else", async () => {
    await control.announce(inspect.url);
    const { status, body } = await control.post("SourceService/BrowseObjects", {
      credentialId,
      prefix: CRASH,
    });
    expect(status).toBe(500);
    const id = /^internal error ([0-9a-f-]{36})$/.exec(body.message)?.[1];
    expect(body).toEqual({ code: "internal", message: `internal error ${id}` });
    expect(control.logged()).toContain(`"errorId":"${id}"`);
  });

  test("a worker that is gone is passed over for one that answers", async () => {
    await control.announce(inspect.url);
    await control.announce("http://127.0.0.1:1");
    const { body } = await control.post("SourceService/BrowseObjects", { credentialId });
    expect(body.objects).toHaveLength(1);
  });

  test("when no worker answers, the call is unavailable", async () => {
    await inspect.close();
    const { status, body } = await control.post("SourceService/BrowseObjects", { credentialId });
    expect(status).toBe(503);
    expect(body.message).toBe("the ingest worker does not answer");
  });
});

describe("health", () => {
  test("serves, as a whole and by service; an unknown service is not found", async () => {
    const client = control.client(Health);
    for (const service of ["", CredentialService.typeName]) {
      expect((await client.check({ service })).status).toBe(Status.SERVING);
    }
    expect((await rejection(client.check({ service: "nobody" }))).code).toBe(Code.NotFound);
  });

  test("a watcher is told now, and told when the server stops", async () => {
    const database2 = await pglite?.create();
    if (database2 === undefined) {
      throw new Error("there is no database to test on");
    }
    const other = await startControlUnderTest(database2);
    const seen: Status[] = [];
    const transport = createConnectTransport({ baseUrl: other.url, httpVersion: "1.1" });
    let closed: Promise<void> | undefined;
    const error = await rejection(
      (async () => {
        for await (const { status } of createClient(Health, transport).watch({})) {
          seen.push(status);
          closed ??= other.close();
        }
      })(),
    );
    await closed;
    await database2.remove();
    expect(seen).toEqual([Status.SERVING, Status.NOT_SERVING]);
    expect(error.code).toBe(Code.Unavailable);
  }, 60_000);
});

describe("reflection", () => {
  type Ask = Parameters<typeof ask>[0];
  async function ask(
    ...requests: readonly (
      | { case: "listServices"; value: string }
      | { case: "fileContainingSymbol"; value: string }
      | { case: "fileByFilename"; value: string }
      | {
          case: "fileContainingExtension";
          value: { containingType: string; extensionNumber: number };
        }
      | { case: "allExtensionNumbersOfType"; value: string }
    )[]
  ) {
    const client = control.client(ServerReflection);
    const answers = [];
    const stream = client.serverReflectionInfo(
      (async function* () {
        for (const messageRequest of requests) {
          yield { messageRequest };
        }
      })(),
    );
    for await (const { messageResponse } of stream) {
      answers.push(messageResponse);
    }
    return answers;
  }
  const files = (answer: Awaited<ReturnType<typeof ask>>[number] | undefined) => {
    if (answer?.case !== "fileDescriptorResponse") {
      throw new Error(`no files in ${JSON.stringify(answer)}`);
    }
    return answer.value.fileDescriptorProto.map((bytes) =>
      fromBinary(FileDescriptorProtoSchema, bytes),
    );
  };

  test("lists the services of both APIs, health and itself", async () => {
    const [answer] = await ask({ case: "listServices", value: "" });
    const names =
      answer?.case === "listServicesResponse" ? answer.value.service.map(({ name }) => name) : [];
    expect(names).toEqual(
      expect.arrayContaining([
        "sluice.control.v1.CredentialService",
        "sluice.control.v1.WorkflowService",
        "sluice.ingest.v1.TaskService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
      ]),
    );
  });

  test("a client can build the API from one answer: every import is in it", async () => {
    const [answer] = await ask({
      case: "fileContainingSymbol",
      value: "sluice.control.v1.CredentialService.CreateCredential",
    });
    const file = files(answer);
    expect(file[0]?.name).toBe("sluice/control/v1/credential_service.proto");
    const registry = createFileRegistry(
      create(FileDescriptorSetSchema, { file: [...file].reverse() }),
    );
    const service = registry.getService("sluice.control.v1.CredentialService");
    expect(service?.method.createCredential?.input.typeName).toBe(
      "sluice.control.v1.CreateCredentialRequest",
    );
  });

  test.each([
    [
      { case: "fileByFilename", value: "sluice/control/v1/failure.proto" },
      "sluice/control/v1/failure.proto",
    ],
    [
      { case: "fileContainingSymbol", value: "sluice.control.v1.StageFailure.advice" },
      "sluice/control/v1/failure.proto",
    ],
    [
      { case: "fileContainingSymbol", value: "sluice.control.v1.STAGE_PARSE" },
      "sluice/control/v1/failure.proto",
    ],
    [
      { case: "fileContainingSymbol", value: "sluice.control.v1.Feed.State" },
      "sluice/control/v1/feed.proto",
    ],
    [
      {
        case: "fileContainingExtension",
        value: { containingType: "google.protobuf.FieldOptions", extensionNumber: 1159 },
      },
      "buf/validate/validate.proto",
    ],
  ] as [Ask, string][])("finds the file of %j", async (request, name) => {
    const [answer] = await ask(request);
    expect(files(answer)[0]?.name).toBe(name);
  });

  test("says not found in the stream, and goes on", async () => {
    const [missing, found] = await ask(
      { case: "fileContainingSymbol", value: "nothing.Here" },
      { case: "allExtensionNumbersOfType", value: "google.protobuf.FieldOptions" },
    );
    expect(missing?.case === "errorResponse" && missing.value.errorCode).toBe(Code.NotFound);
    expect(found?.case === "allExtensionNumbersResponse" && found.value.extensionNumber).toContain(
      1159,
    );
  });
});
