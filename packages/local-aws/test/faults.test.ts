import { createHash } from "node:crypto";
import {
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Fault, LocalAws } from "../src/index.ts";
import { assume, EXTERNAL_ID, refusalOf, s3As, setUpRole } from "./role-setup.ts";
import { startTemporaryServer, type TemporaryServer } from "./temporary-server.ts";

const SIZE = 3_000_000;
const OBJECT = { Bucket: "faulty", Key: "big" };
const BODY = Buffer.from(Array.from({ length: SIZE }, (_, n) => n * 7 + (n >> 8)));

let server: TemporaryServer;
let local: LocalAws;
let s3: S3Client;

beforeAll(async () => {
  server = await startTemporaryServer("faulty");
  ({ local, s3 } = server);
  await s3.send(new PutObjectCommand({ ...OBJECT, Body: BODY }));
});

afterEach(() => local.faults.clear());

afterAll(async () => await server[Symbol.asyncDispose]());

/** Reads until the end, an error, or so many bytes; says how the stream ended. */
async function read(
  input: object = {},
  upToBytes = Number.POSITIVE_INFINITY,
): Promise<{ bytes: Buffer; end: string }> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    const { Body } = await s3.send(new GetObjectCommand({ ...OBJECT, ...input }));
    for await (const chunk of Body as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      size += chunk.length;
      if (size >= upToBytes) return { bytes: Buffer.concat(chunks), end: "left" };
    }
    return { bytes: Buffer.concat(chunks), end: "end" };
  } catch (error) {
    const { code, name } = error as Error & { code?: string };
    return { bytes: Buffer.concat(chunks), end: code ?? name };
  }
}

async function counted(fault: Fault, run: () => Promise<void>): Promise<number | undefined> {
  const id = await local.faults.add(fault);
  await run();
  return (await local.faults.counts())[id];
}

describe("a fault", { timeout: 60_000 }, () => {
  it.each([
    ["SlowDown", undefined, "SlowDown 503"],
    ["InternalError", undefined, "InternalError 500"],
    ["TooManyRequests", undefined, "TooManyRequests 429"],
    ["SlowDown", 500, "SlowDown 500"],
  ] as const)("answers %s (%s) as often as it was asked to", async (code, status, refusal) => {
    const effect = { kind: "error" as const, code, ...(status && { status }) };
    const fired = await counted({ bucket: "faulty", key: "b*", times: 2, effect }, async () => {
      const get = () => refusalOf(s3.send(new GetObjectCommand(OBJECT)));
      expect([await get(), await get(), await get()]).toEqual([refusal, refusal, "no refusal"]);
    });
    expect(fired).toBe(2);
  });

  it("falls only on what its patterns name, after letting some pass", async () => {
    await local.faults.add({
      operation: "ListObjectsV2",
      skip: 1,
      effect: { kind: "error", code: "SlowDown" },
    });
    const list = () => refusalOf(s3.send(new ListObjectsV2Command({ Bucket: "faulty" })));
    expect(await refusalOf(s3.send(new GetObjectCommand(OBJECT)))).toBe("no refusal");
    expect([await list(), await list()]).toEqual(["no refusal", "SlowDown 503"]);
  });

  it.each([0, 1, 65_536, SIZE / 2, SIZE - 1])("resets after %d bytes", async (afterBytes) => {
    const fired = await counted({ times: 1, effect: { kind: "reset", afterBytes } }, async () => {
      const { bytes, end } = await read();
      expect(end).toBe("ECONNRESET");
      expect(bytes.length).toBeLessThanOrEqual(afterBytes);
      expect(bytes.equals(BODY.subarray(0, bytes.length))).toBe(true);
    });
    expect(fired).toBe(1);
    expect((await read()).bytes.equals(BODY)).toBe(true);
  });

  it("ends a body short, cleanly, after exactly so many bytes", async () => {
    await local.faults.add({ times: 1, effect: { kind: "short-body", afterBytes: 100_001 } });
    const { bytes, end } = await read();
    expect(bytes.equals(BODY.subarray(0, 100_001))).toBe(true);
    expect(end).not.toBe("end");
  });

  it("stalls a body, and lets it go on when the faults are cleared", async () => {
    await local.faults.add({ times: 1, effect: { kind: "stall", afterBytes: 200_000 } });
    const { Body } = await s3.send(new GetObjectCommand(OBJECT));
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of Body as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      size += chunk.length;
      if (size !== 200_000) continue;
      const { openResponses } = await local.objectStatistics("faulty", "big");
      expect(openResponses).toBe(1);
      await local.faults.clear();
    }
    expect(Buffer.concat(chunks).equals(BODY)).toBe(true);
    // The client may have the last byte before the server has closed its side.
    await expect
      .poll(async () => (await local.objectStatistics("faulty", "big")).openResponses)
      .toBe(0);
  });

  it("replaces the object while it is read: the read goes on as it began, the next sees 412", async () => {
    const { ETag } = await s3.send(new HeadObjectCommand(OBJECT));
    await local.faults.add({ times: 1, effect: { kind: "replace", afterBytes: 1_000 } });
    await local.faults.add({ times: 1, effect: { kind: "short-body", afterBytes: 2_000_000 } });
    const first = await read({ IfMatch: ETag });
    expect(first.bytes.equals(BODY.subarray(0, 2_000_000))).toBe(true);
    expect((await read({ IfMatch: ETag, Range: "bytes=2000000-" })).end).toBe("PreconditionFailed");
    const now = await read();
    expect(now.bytes.equals(Buffer.from(BODY.map((byte) => ~byte)))).toBe(true);
    await local.faults.add({ times: 1, effect: { kind: "replace", afterBytes: 0, body: "new" } });
    expect((await read()).bytes.equals(now.bytes)).toBe(true);
    expect((await read()).bytes.toString()).toBe("new");
    await s3.send(new PutObjectCommand({ ...OBJECT, Body: BODY }));
  });

  it("replaces the object between HEAD and GET", async () => {
    const effect = { kind: "replace" as const, afterBytes: 0, body: "other" };
    await local.faults.add({ operation: "HeadObject", times: 1, effect });
    const { ETag } = await s3.send(new HeadObjectCommand(OBJECT));
    expect((await read({ IfMatch: ETag })).end).toBe("PreconditionFailed");
    await s3.send(new PutObjectCommand({ ...OBJECT, Body: BODY }));
  });

  it("ignores a range, or a condition", async () => {
    await local.faults.add({ times: 1, effect: { kind: "ignore-range" } });
    const whole = await s3.send(new GetObjectCommand({ ...OBJECT, Range: "bytes=5-9" }));
    expect([whole.$metadata.httpStatusCode, whole.ContentLength]).toEqual([200, SIZE]);
    await whole.Body?.transformToByteArray();
    await local.faults.add({ times: 1, effect: { kind: "ignore-conditions" } });
    expect((await read({ IfMatch: '"another"' })).end).toBe("end");
    expect((await read({ IfMatch: '"another"' })).end).toBe("PreconditionFailed");
  });

  it("expires a token, or takes a role's access away, for that role's sessions alone", async () => {
    const { user, roleArn } = await setUpRole(local, "faulty");
    const keys = await assume(local, user, { RoleArn: roleArn, ExternalId: EXTERNAL_ID });
    const session = s3As(local, keys);
    const get = (client: S3Client) => refusalOf(client.send(new HeadObjectCommand(OBJECT)));
    await local.faults.add({ principal: roleArn, times: 1, effect: { kind: "expire-token" } });
    const expired = refusalOf(session.send(new GetObjectCommand(OBJECT)));
    expect(await expired).toBe("ExpiredToken 400");
    expect(await get(session)).toBe("no refusal");
    await local.faults.add({ principal: roleArn, effect: { kind: "revoke-access" } });
    const denied = refusalOf(session.send(new GetObjectCommand(OBJECT)));
    expect(await denied).toBe("AccessDenied 403");
    expect(await get(s3)).toBe("no refusal");
  });

  it("falls on STS as well", async () => {
    const { user, roleArn } = await setUpRole(local, "faulty");
    await local.faults.add({
      operation: "AssumeRole",
      times: 1,
      effect: { kind: "error", code: "AccessDenied" },
    });
    const input = { RoleArn: roleArn, ExternalId: EXTERNAL_ID };
    expect(await refusalOf(assume(local, user, input))).toBe("AccessDenied 403");
    expect(await refusalOf(assume(local, user, input))).toBe("no refusal");
  });
});

describe("a read in progress", { timeout: 60_000 }, () => {
  it("serves the version it began with when the object is replaced or deleted", async () => {
    const Key = "replaced";
    const old = Buffer.alloc(8_000_000, "old");
    await s3.send(new PutObjectCommand({ Bucket: "faulty", Key, Body: old }));
    const got = await s3.send(new GetObjectCommand({ Bucket: "faulty", Key }));
    const iterator = (got.Body as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
    const hash = createHash("sha256");
    hash.update((await iterator.next()).value);
    await s3.send(new PutObjectCommand({ Bucket: "faulty", Key, Body: "new" }));
    for (let next = await iterator.next(); !next.done; next = await iterator.next()) {
      hash.update(next.value);
    }
    expect(hash.digest("hex")).toBe(createHash("sha256").update(old).digest("hex"));
    const now = await s3.send(new GetObjectCommand({ Bucket: "faulty", Key }));
    expect(await now.Body?.transformToString()).toBe("new");
  });

  it("stops reading from disk when its client stops reading from the socket", async () => {
    const Key = "slow";
    const size = 32_000_000;
    await s3.send(new PutObjectCommand({ Bucket: "faulty", Key, Body: Buffer.alloc(size, 1) }));
    const got = await s3.send(new GetObjectCommand({ Bucket: "faulty", Key }));
    const iterator = (got.Body as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
    let received = (await iterator.next()).value.length;
    // Other traffic goes its way while this response waits for its reader.
    for (let n = 0; n < 20; n++) await s3.send(new HeadObjectCommand(OBJECT));
    const waiting = await local.objectStatistics("faulty", Key);
    expect(waiting.openResponses).toBe(1);
    expect(waiting.bytesSent).toBeLessThan(size);
    for (let next = await iterator.next(); !next.done; next = await iterator.next()) {
      received += next.value.length;
    }
    expect(received).toBe(size);
    expect(await local.bytesSent("faulty", Key)).toBe(size);
  });
});
