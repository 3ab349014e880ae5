import { once } from "node:events";
import { connect as connectHttp2, constants } from "node:http2";
import { connect } from "node:net";
import { gzipSync } from "node:zlib";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { SourceService } from "@sluice/api/control/v1/source_service_pb";
import { RetryInfoSchema } from "@sluice/api/google/rpc/error_details_pb";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readKeyFile } from "../src/access/key-file.ts";
import { createRateLimit } from "../src/access/rate-limit.ts";
import { listen } from "../src/server/listen.ts";
import { type ControlUnderTest, startControlUnderTest } from "./testing/control-under-test.ts";
import { DATABASES, type TestDatabase } from "./testing/databases.ts";
import { FRAMES, frame, readFrames } from "./testing/http2-frames.ts";

/** Attack R6: requests that are too large, too many, too slow, or not what they say. */

const MIB = 2 ** 20;
const [pglite] = DATABASES;
let database: TestDatabase;
let control: ControlUnderTest;

beforeAll(async () => {
  if (pglite === undefined) throw new Error("there is no database to test on");
  database = await pglite.create();
  control = await startControlUnderTest(database, { SLUICE_IDLE_TIMEOUT_MS: "300" });
}, 120_000);
afterAll(async () => {
  await control?.close();
  await database?.remove();
});

interface Refusal {
  readonly status: number;
  readonly code: string;
  readonly message: string;
  readonly size: number;
}

/** Sends bytes as a Connect request of one message. */
async function send(
  method: string,
  body: Uint8Array | string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Refusal> {
  const answer = await fetch(`${control.url}/sluice.control.v1.${method}`, {
    method: "POST",
    headers: {
      "content-type": "application/proto",
      authorization: `Bearer ${control.adminKey}`,
      ...headers,
    },
    body: typeof body === "string" ? body : new Uint8Array(body),
  });
  const text = await answer.text();
  const { code = "", message = "" } = answer.ok ? {} : JSON.parse(text);
  return { status: answer.status, code, message, size: text.length };
}

/** A field of wire type 2, whatever its bytes are. */
function field(number: number, bytes: Uint8Array): Uint8Array {
  return new BinaryWriter().tag(number, WireType.LengthDelimited).bytes(bytes).finish();
}

const JSON_TYPE = { "content-type": "application/json" };
const isAlive = async (): Promise<void> => {
  const { plugins } = await control.client(SourceService).listPlugins({});
  expect(plugins).toHaveLength(1);
};

describe("a message", () => {
  test("of more than 4 MiB is refused, by its length and by its bytes", async () => {
    const large = field(1, Buffer.alloc(5 * MIB, "x"));
    expect(await send("SourceService/ListPlugins", large)).toMatchObject({
      code: "resource_exhausted",
    });
    await isAlive();
  });

  test("that is small and unpacks to more than 4 MiB is refused, and not unpacked further", async () => {
    const bomb = gzipSync(Buffer.alloc(512 * MIB), { level: 9 });
    const before = process.memoryUsage().arrayBuffers;
    expect(bomb.length).toBeLessThan(MIB);
    const { code, message } = await send("SourceService/ListPlugins", bomb, {
      "content-encoding": "gzip",
    });
    expect(code).toBe("resource_exhausted");
    expect(message).toContain(String(4 * MIB));
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * MIB);
    await isAlive();
  });

  test("that is not UTF-8 where text stands is refused, in both forms", async () => {
    const wrong = Uint8Array.of(0x61, 0xff, 0xfe);
    const binary = await send("SourceService/ListPlugins", field(1, wrong));
    // The library would say INTERNAL, which is a fault of ours: server/malformed.ts.
    expect(binary).toMatchObject({
      code: "invalid_argument",
      message: expect.stringMatching(/^parse binary/),
    });
    const json = Buffer.concat([Buffer.from('{"search":"'), wrong, Buffer.from('"}')]);
    const text = await send("SourceService/ListPlugins", json, JSON_TYPE);
    expect(text.code).toBe("invalid_argument");
  });

  test("that ends in the middle, or is nothing of ours, is refused", async () => {
    for (const bytes of [
      Uint8Array.of(0x0a, 0x7f, 0x61),
      Uint8Array.of(0x0f),
      Buffer.alloc(1000, 0xff),
    ]) {
      expect(await send("SourceService/ListPlugins", bytes)).toMatchObject({
        code: "invalid_argument",
        message: expect.stringMatching(/^parse binary/),
      });
    }
  });

  test("with a million items is refused with a short answer", async () => {
    const item = field(1, new Uint8Array());
    const many = Buffer.alloc(item.length * 1_000_000, Buffer.from(item));
    const { code, size } = await send("NotificationService/AcknowledgeNotifications", many);
    expect(code).toBe("invalid_argument");
    expect(size).toBeLessThan(100_000);
    await isAlive();
  });

  test("as deep as a stack is refused", async () => {
    const { code } = await send("SourceService/ListPlugins", "[".repeat(1_000_000), JSON_TYPE);
    expect(code).toBe("invalid_argument");
    await isAlive();
  });

  test.each([
    ["SourceService/PreviewObject", { credentialId: "c", key: "k", view: 99 }],
    [
      "CourierService/CreateCourier",
      {
        courier: {
          name: "n",
          credentialId: "c",
          files: [{ tag: "t", key: "k", settings: { parquet: {} } }],
          loads: [{ feedId: "f", fileTag: "t", operation: 99 }],
        },
      },
    ],
    ["NotificationService/CreateWebhook", { webhook: { url: "https://a.example", kinds: [99] } }],
    ["AccessService/CreateApiKey", { name: "n", role: 99 }],
  ])("with an unknown value of an enum is refused: %s", async (method, body) => {
    expect(await send(method, JSON.stringify(body), JSON_TYPE)).toMatchObject({
      code: "invalid_argument",
      message: expect.stringMatching(/view|operation|kinds|role/),
    });
  });

  test("without the one field that it has to have of several is refused", async () => {
    expect(await send("CourierService/RunCourier", '{"id": "x"}', JSON_TYPE)).toMatchObject({
      code: "invalid_argument",
      message: expect.stringContaining("scope"),
    });
  });
});

describe("a timeout", () => {
  test.each([
    ["connect-timeout-ms", "1000000000000"],
    ["connect-timeout-ms", "9999999999"],
    ["connect-timeout-ms", "-1"],
    ["connect-timeout-ms", "soon"],
  ])("of %s: %s is refused", async (name, value) => {
    expect(
      await send("SourceService/ListPlugins", "{}", { ...JSON_TYPE, [name]: value }),
    ).toMatchObject({ code: "invalid_argument" });
  });
});

describe("a connection", () => {
  test("that opens ten thousand streams, whatever it was told, gets 250 of them, and hurts nobody", async () => {
    const { hostname, port } = new URL(control.url);
    const socket = connect(Number(port), hostname);
    const frames = readFrames(socket);
    socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    socket.write(frame({ type: FRAMES.SETTINGS, stream: 0 }));
    // ":method: POST", ":scheme: http", ":path: /" and ":authority: x"; the requests never end.
    const headers = Uint8Array.of(0x83, 0x86, 0x84, 0x41, 0x01, 0x78);
    const streams = Array.from({ length: 10_000 }, (_, index) =>
      frame({ type: FRAMES.HEADERS, stream: 2 * index + 1, flags: 4, payload: headers }),
    );
    socket.write(Buffer.concat(streams));
    let refused = 0;
    for await (const { type, payload } of frames) {
      if (
        type === FRAMES.RST_STREAM &&
        payload.readUInt32BE(0) === constants.NGHTTP2_REFUSED_STREAM
      ) {
        refused += 1;
      }
      // It gives the connection up, or has refused the rest.
      if (type === FRAMES.GOAWAY || refused === 10_000 - 250) break;
    }
    expect(refused).toBeGreaterThan(0);
    await isAlive();
    socket.destroy();
  });

  test("of HTTP/2 on which nothing is asked is closed; one that waits for its answer stays", async () => {
    const answers: (() => void)[] = [];
    const listener = await listen({
      host: "127.0.0.1",
      port: 0,
      idleConnectionMs: 100,
      handler: (_, response) => answers.push(() => response.end("late")),
    });
    const waiting = connectHttp2(listener.url);
    const stream = waiting.request({ ":path": "/" });
    await once(stream, "ready");
    const idle = connectHttp2(listener.url);
    await once(idle, "close");
    const later = connectHttp2(listener.url);
    await once(later, "close");
    expect(waiting.closed).toBe(false);
    for (const answer of answers) answer();
    const [chunk] = await once(stream, "data");
    expect(String(chunk)).toBe("late");
    waiting.destroy();
    await listener.close(0);
  });

  test("of HTTP/1.1 whose request stops in the middle is closed", async () => {
    const { hostname, port } = new URL(control.url);
    const socket = connect(Number(port), hostname);
    socket.write(
      "POST /sluice.control.v1.SourceService/ListPlugins HTTP/1.1\r\nhost: x\r\n" +
        `authorization: Bearer ${control.adminKey}\r\ncontent-type: application/json\r\n` +
        "content-length: 100\r\n\r\n{",
    );
    socket.resume();
    await once(socket, "close");
  });

  test("of HTTP/2 loses the request that stops in the middle, and keeps the others", async () => {
    const session = connectHttp2(control.url);
    const headers = {
      ":method": "POST",
      authorization: `Bearer ${control.adminKey}`,
      "content-type": "application/connect+proto",
    };
    const watch = session.request({
      ...headers,
      ":path": "/sluice.control.v1.NotificationService/WatchNotifications",
    });
    // One whole message, empty: it watches from the first event on.
    watch.end(Buffer.alloc(5));
    const slow = session.request({
      ...headers,
      "content-type": "application/proto",
      ":path": "/sluice.control.v1.SourceService/ListPlugins",
    });
    slow.write(Uint8Array.of(0x0a));
    await once(slow, "close");
    expect(slow.rstCode).toBe(constants.NGHTTP2_CANCEL);
    expect(watch.closed).toBe(false);
    session.destroy();
  });

  test("with headers of more than 16 KiB is refused", async () => {
    const answer = await fetch(`${control.url}/sluice.control.v1.SourceService/ListPlugins`, {
      method: "POST",
      headers: { ...JSON_TYPE, "x-large": "x".repeat(20_000) },
      body: "{}",
    });
    expect(answer.status).toBe(431);
    await answer.body?.cancel();
  });
});

describe("too many calls", () => {
  test("fill a bucket of the caller's own, which empties with time", () => {
    let now = 0;
    const limit = createRateLimit({ perSecond: 8, burst: 3, now: () => now });
    expect([1, 2, 3].map(() => limit.take("a"))).toEqual([0, 0, 0]);
    expect(limit.take("a")).toBe(125);
    expect(limit.take("b")).toBe(0);
    now += 124;
    expect(limit.take("a")).toBeGreaterThan(0);
    now += 1;
    expect(limit.take("a")).toBe(0);
    now += 3_600_000;
    expect([1, 2, 3, 4].map(() => limit.take("a"))).toEqual([0, 0, 0, 125]);
  });

  test("callers without end leave no more behind than there is room for", () => {
    const limit = createRateLimit({ perSecond: 1, burst: 1, now: () => 0 });
    limit.take("first");
    for (let count = 0; count < 10_000; count += 1) limit.take(`caller ${count}`);
    expect(limit.take("first")).toBe(0);
  });

  test("are refused with the time until the next, and other keys go on", async () => {
    const place = await pglite?.create();
    if (place === undefined) throw new Error("there is no database to test on");
    const narrow = await startControlUnderTest(place, {
      SLUICE_RATE_PER_SECOND: "1",
      SLUICE_RATE_BURST: "3",
      SLUICE_TENANTS: "default,other",
    });
    const client = narrow.client(SourceService);
    const calls = Array.from({ length: 50 }, () => client.listPlugins({}));
    const ended = await Promise.allSettled(calls);
    const refused = ended
      .filter(({ status }) => status === "rejected")
      .map((each) => ConnectError.from("reason" in each ? each.reason : undefined));
    expect(refused.length).toBeGreaterThan(0);
    for (const error of refused) {
      expect(error.code).toBe(Code.ResourceExhausted);
      const [info] = error.findDetails(RetryInfoSchema);
      expect(Number(info?.retryDelay?.seconds ?? -1)).toBeLessThanOrEqual(1);
      expect(error.metadata.get("retry-after")).toBe("1");
    }
    const other = readKeyFile(`${place.dataDir}/control/other.admin.key`);
    const theirs = createClient(SourceService, narrow.transportOf(`Bearer ${other}`));
    expect((await theirs.listPlugins({})).plugins).toHaveLength(1);
    await narrow.close();
    await place.remove();
  }, 180_000);
});

test("many items within the limit of a list are judged, and the answer names a few of them", async () => {
  const members = Array.from({ length: 100 }, () => ({ courierId: "" }));
  const { code, size } = await send(
    "CourierGroupService/CreateCourierGroup",
    JSON.stringify({ courierGroup: { name: "g", members } }),
    JSON_TYPE,
  );
  expect(code).toBe("invalid_argument");
  expect(size).toBeLessThan(50_000);
});
