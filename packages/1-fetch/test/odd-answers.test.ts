import { gzipSync } from "node:zlib";
import { PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { StageError } from "@sluice/errors";
import type { ManifestObject } from "@sluice/schema";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { S3Source } from "../src/index.ts";
import {
  bytesOf,
  type CustomerBucket,
  collect,
  openCustomerBucket,
  pin,
} from "./customer-bucket.ts";
import {
  type Answer,
  openTamperingProxy,
  type TamperingProxy,
  toError,
} from "./tampering-proxy.ts";

const content = bytesOf(200_000);

let customer: CustomerBucket;
let proxy: TamperingProxy;
let source: S3Source;
let object: ManifestObject;

beforeAll(async () => {
  customer = await openCustomerBucket();
  proxy = await openTamperingProxy(customer.aws.url);
  const { connection } = customer.options;
  source = customer.open({ connection: { ...connection, endpoint: proxy.url } });
  await customer.put("data.bin", content);
  object = await pin(source, "data.bin");
});

afterEach(() => {
  proxy.tamper = undefined;
  proxy.isSilent = false;
});

afterAll(async () => {
  await source.close();
  await proxy[Symbol.asyncDispose]();
  await customer[Symbol.asyncDispose]();
});

async function failure(bytes: AsyncIterable<Uint8Array>): Promise<StageError> {
  const error = await collect(bytes).catch((thrown: unknown) => thrown);
  if (error instanceof StageError) return error;
  throw new Error("no StageError was thrown", { cause: error });
}

describe("lengths and ranges", () => {
  test("a longer body without a length is length_mismatch (S3-08)", async () => {
    proxy.tamper = (answer) => {
      delete answer.headers["content-length"];
      answer.body = Buffer.concat([answer.body, Buffer.from("more")]);
    };
    expect((await failure(source.read(object))).code).toBe("length_mismatch");
  });

  test("a shorter body without a length is asked on from where it ended", async () => {
    proxy.tamper = (answer) => {
      delete answer.headers["content-length"];
      answer.body = answer.body.subarray(0, 90_000);
    };
    expect((await collect(source.read(object))).equals(content)).toBe(true);
    expect(proxy.seen.at(-1)?.range).toBe("bytes=180000-199999");
    expect(proxy.seen.at(-1)?.["if-match"]).toBe(object.etag);
  });

  test("a body without anything and without a length is length_mismatch, never success", async () => {
    proxy.tamper = (answer) => {
      delete answer.headers["content-length"];
      answer.body = Buffer.alloc(0);
    };
    expect((await failure(source.read(object))).code).toBe("length_mismatch");
  });

  test("a body that a proxy compressed is length_mismatch (S3-08)", async () => {
    proxy.tamper = (answer) => {
      answer.body = gzipSync(answer.body);
      answer.headers["content-length"] = String(answer.body.length);
      answer.headers["content-encoding"] = "gzip";
    };
    expect((await failure(source.read(object))).code).toBe("length_mismatch");
  });

  test("a Content-Range other than the one asked for is length_mismatch (S3-10)", async () => {
    proxy.tamper = (answer) => {
      answer.headers["content-range"] = "bytes 11-20/200000";
    };
    const error = await failure(source.read(object, { start: 10, end: 20 }));
    expect([error.code, error.expected]).toEqual([
      "length_mismatch",
      "HTTP 206, bytes 10-19/200000",
    ]);
  });

  test("another version's id is object_changed although the ETag agrees", async () => {
    proxy.tamper = (answer) => {
      answer.headers["x-amz-version-id"] = "v2";
    };
    const error = await failure(source.read({ ...object, versionId: "null" }));
    expect(error.code).toBe("object_changed");
  });
});

describe("checksums of the whole object (S3-12)", () => {
  test.each(["CRC32", "SHA1", "SHA256"] as const)("%s is verified", async (algorithm) => {
    const admin = new S3Client({
      region: customer.aws.region,
      endpoint: customer.aws.url,
      forcePathStyle: true,
      credentials: customer.aws.adminKeys,
    });
    const key = `with-${algorithm}`;
    await admin.send(
      new PutObjectCommand({
        Bucket: customer.bucket,
        Key: key,
        Body: content,
        ChecksumAlgorithm: algorithm,
      }),
    );
    admin.destroy();
    const pinned = await pin(source, key);
    let header: string | undefined;
    proxy.tamper = (answer) => {
      header = String(answer.headers[`x-amz-checksum-${algorithm.toLowerCase()}`]);
    };
    expect((await collect(source.read(pinned))).equals(content)).toBe(true);
    expect(header).toMatch(/=$/);

    proxy.tamper = (answer) => {
      answer.body[100_000] = 255 - (answer.body[100_000] ?? 0);
    };
    const error = await failure(source.read(pinned));
    expect([error.code, error.expected]).toEqual(["checksum_mismatch", header]);
  });

  test("is carried over a resumed read, which sees the bytes of two answers", async () => {
    await customer.aws.faults.add({ effect: { kind: "reset", afterBytes: 70_000 }, times: 1 });
    const direct = customer.open();
    expect((await collect(direct.read(object))).equals(content)).toBe(true);
    await customer.aws.faults.clear();
    await direct.close();
  });

  test("a composite one is let pass: it is not over the object's bytes", async () => {
    proxy.tamper = (answer) => {
      for (const name of Object.keys(answer.headers)) {
        if (name.startsWith("x-amz-checksum-")) delete answer.headers[name];
      }
      answer.headers["x-amz-checksum-crc32"] = "AAAAAA==-3";
    };
    expect((await collect(source.read(object))).equals(content)).toBe(true);
  });

  test("is not asked for with a range, which it does not cover", async () => {
    await collect(source.read(object, { start: 5, end: 10 }));
    expect(proxy.seen.at(-1)?.["x-amz-checksum-mode"]).toBeUndefined();
    await collect(source.read(object));
    expect(proxy.seen.at(-1)?.["x-amz-checksum-mode"]).toBe("ENABLED");
  });
});

test("reads one after another share a socket", async () => {
  const { connection } = customer.options;
  const fresh = customer.open({ connection: { ...connection, endpoint: proxy.url } });
  const before = proxy.connections;
  for (let count = 0; count < 3; count++) {
    expect(await collect(fresh.read(object))).toHaveLength(content.length);
  }
  expect(proxy.connections - before).toBe(1);
  await fresh.close();
});

describe("a store that takes requests and answers none", () => {
  test("is fetch.stalled for a read, connect.source_unavailable for a listing", async () => {
    const { connection } = customer.options;
    const hasty = customer.open({
      connection: { ...connection, endpoint: proxy.url },
      idleTimeoutMs: 100,
    });
    await hasty.list();
    proxy.isSilent = true;
    const before = proxy.seen.length;
    expect((await failure(hasty.read(object))).code).toBe("stalled");
    expect(proxy.seen.length - before).toBe(4);
    await expect(hasty.list()).rejects.toThrow("[connect/source_unavailable]");
    expect(proxy.seen.length - before).toBe(8);
    await hasty.close();
  });
});

describe("a versioned bucket", () => {
  const versioned = (answer: Answer): void => {
    answer.headers["x-amz-version-id"] = "null";
  };

  test("pins version and ETag, and reads by both", async () => {
    proxy.tamper = versioned;
    const pinned = await pin(source, "data.bin");
    expect(pinned).toMatchObject({ versionId: "null", etag: object.etag, size: content.length });
    expect((await collect(source.read(pinned))).equals(content)).toBe(true);
  });

  test("pins the ETag alone when the role may not read versions", async () => {
    let heads = 0;
    proxy.tamper = (answer, method) => {
      versioned(answer);
      // The plan's own HEAD, the one that shows a version, then the one that asks for it.
      if (method === "HEAD" && ++heads < 3) return;
      toError(answer, 403, "AccessDenied");
    };
    expect(await pin(source, "data.bin")).toEqual(object);
    expect(heads).toBe(3);
  });
});

describe("what S3 answers becomes our code (FAULTS 2.7)", () => {
  test.each([
    [400, "InvalidBucketName", "connect", "invalid_bucket_name"],
    [404, "NoSuchBucket", "connect", "bucket_not_found"],
    [403, "InvalidAccessKeyId", "connect", "invalid_credentials"],
    [403, "SignatureDoesNotMatch", "connect", "invalid_credentials"],
    [400, "ExpiredToken", "connect", "invalid_credentials"],
    [400, "InvalidToken", "connect", "invalid_credentials"],
    [403, "AccessDenied", "connect", "access_denied"],
    [404, "NoSuchKey", "fetch", "object_deleted"],
    [404, "NoSuchVersion", "fetch", "object_deleted"],
    [405, "MethodNotAllowed", "fetch", "object_deleted"],
    [412, "PreconditionFailed", "fetch", "object_changed"],
    [416, "InvalidRange", "fetch", "object_changed"],
    [403, "InvalidObjectState", "fetch", "object_archived"],
    [503, "SlowDown", "fetch", "throttled"],
    [429, "TooManyRequests", "fetch", "throttled"],
    [503, "ServiceUnavailable", "connect", "source_unavailable"],
    [500, "InternalError", "connect", "source_unavailable"],
    [400, "RequestTimeout", "connect", "source_unavailable"],
    [403, "RequestTimeTooSkewed", "connect", "source_unavailable"],
    [301, "PermanentRedirect", "connect", "wrong_region"],
    [400, "AuthorizationHeaderMalformed", "connect", "wrong_region"],
  ])("%d %s -> %s.%s", async (status, code, stage, expected) => {
    proxy.tamper = (answer) => toError(answer, status, code);
    // Nothing was read by this source yet: a refusal withdraws nothing.
    const { connection } = customer.options;
    await using fresh = customer.open({ connection: { ...connection, endpoint: proxy.url } });
    const error = await failure(fresh.read(object));
    expect([error.stage, error.code]).toEqual([stage, expected]);
    expect(error.seen).toBe(`${code}, HTTP ${status}, request REQUEST1`);
    expect(error.coordinate.key).toBe("data.bin");
  });

  test("a wrong region is named when the answer names the right one", async () => {
    proxy.tamper = (answer) =>
      toError(answer, 400, "AuthorizationHeaderMalformed", "<Region>eu-north-1</Region>");
    const error = await failure(source.read(object));
    expect(error.rawMessage).toBe("the bucket is in region eu-north-1, not in us-east-1");
  });

  test("a page that is no S3 answer at all is access_denied, and its text goes nowhere", async () => {
    proxy.tamper = (answer) => {
      answer.status = 407;
      answer.body = Buffer.from("<html>proxy login CANARY</html>");
      answer.headers = { "content-length": String(answer.body.length) };
    };
    const error = await failure(source.read(object));
    expect(JSON.stringify(error.toFailure())).not.toContain("CANARY");
    expect(error.code).toBe("access_denied");
  });

  test("nothing that was signed, and no key, stands in the error or its causes (R7)", async () => {
    const secrets =
      "<StringToSign>CANARY-1</StringToSign><AWSAccessKeyId>CANARY-2</AWSAccessKeyId>";
    proxy.tamper = (answer) => toError(answer, 403, "SignatureDoesNotMatch", secrets);
    const error = await failure(source.read(object));
    const cause = error.cause instanceof Error ? error.cause : new Error("no cause");
    const text = [error.stack, JSON.stringify(error), cause.stack, JSON.stringify(cause)].join();
    expect(Reflect.ownKeys(cause).map(String)).not.toContain("$response");
    expect(text).not.toContain("CANARY");
    expect(text).not.toContain(customer.platformUser.secretAccessKey);
    expect(cause.name).toBe("SignatureDoesNotMatch");
  });
});
