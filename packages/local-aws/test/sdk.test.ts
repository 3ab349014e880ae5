import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import {
  CopyObjectCommand,
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetBucketLocationCommand,
  GetObjectAclCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListBucketsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { LocalAws } from "../src/index.ts";
import { refusalOf } from "./role-setup.ts";
import { startTemporaryServer, type TemporaryServer } from "./temporary-server.ts";

let server: TemporaryServer;
let local: LocalAws;
let s3: S3Client;

beforeAll(async () => {
  server = await startTemporaryServer("sdk");
  ({ local, s3 } = server);
});

afterAll(async () => await server[Symbol.asyncDispose]());

const KEYS = [
  "plain.csv",
  "per%20cent%.csv",
  "plus+and space.csv",
  "ünïcödé/日本語/😀.csv",
  "a//b///c",
  "folder/",
  "dots/../and/./more",
  "quote'\"<&>!*();:@=,$?#[].csv",
  "line\nbreak",
  `long/${"k".repeat(1_019)}`,
];

describe("the AWS SDK with its default settings", { timeout: 60_000 }, () => {
  it.each(KEYS)("stores and returns %j byte for byte", async (key) => {
    const body = Buffer.from(`the object of ${key}`);
    await s3.send(new PutObjectCommand({ Bucket: "sdk", Key: key, Body: body }));
    const got = await s3.send(new GetObjectCommand({ Bucket: "sdk", Key: key }));
    expect(Buffer.from(await (got.Body?.transformToByteArray() ?? []))).toEqual(body);
    expect(got.ContentLength).toBe(body.length);
  });

  it("lists every kind of key once, in the order of its bytes", async () => {
    const listed = await s3.send(new ListObjectsV2Command({ Bucket: "sdk", EncodingType: "url" }));
    const keys = listed.Contents?.map((object) =>
      decodeURIComponent(String(object.Key).replaceAll("+", " ")),
    );
    expect(keys).toEqual([...KEYS].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))));
  });

  it("stores a stream sent as aws-chunked without its framing", async () => {
    const pieces = Array.from({ length: 50 }, (_, n) => Buffer.alloc(10_000 + n, n));
    const body = Buffer.concat(pieces);
    await s3.send(
      new PutObjectCommand({
        Bucket: "sdk",
        Key: "stream",
        Body: Readable.from(pieces),
        ContentLength: body.length,
        ContentEncoding: "gzip",
        Metadata: { who: "me" },
      }),
    );
    const head = await s3.send(
      new HeadObjectCommand({ Bucket: "sdk", Key: "stream", ChecksumMode: "ENABLED" }),
    );
    expect(head.ContentEncoding).toBe("gzip");
    expect(head.Metadata).toEqual({ who: "me" });
    expect(head.ChecksumCRC32).toBeTypeOf("string");
    expect(head.ChecksumType).toBe("FULL_OBJECT");
    const got = await s3.send(new GetObjectCommand({ Bucket: "sdk", Key: "stream" }));
    expect(body.equals(await (got.Body?.transformToByteArray() ?? Buffer.alloc(0)))).toBe(true);
  });

  it.each(["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"] as const)(
    "keeps and returns a %s checksum when asked",
    async (ChecksumAlgorithm) => {
      const Key = `sum-${ChecksumAlgorithm}`;
      await s3.send(
        new PutObjectCommand({ Bucket: "sdk", Key, Body: "123456789", ChecksumAlgorithm }),
      );
      const head = await s3.send(
        new HeadObjectCommand({ Bucket: "sdk", Key, ChecksumMode: "ENABLED" }),
      );
      // The check values of the CRC catalogue; the hashes are OpenSSL's.
      const expected = {
        CRC32: Buffer.from("cbf43926", "hex"),
        CRC32C: Buffer.from("e3069283", "hex"),
        CRC64NVME: Buffer.from("ae8b14860a799888", "hex"),
        SHA1: createHash("sha1").update("123456789").digest(),
        SHA256: createHash("sha256").update("123456789").digest(),
      }[ChecksumAlgorithm].toString("base64");
      expect(head[`Checksum${ChecksumAlgorithm}`]).toBe(expected);
    },
  );

  it.each([
    ["bytes=0-3", 206, "0123", "bytes 0-3/10"],
    ["bytes=4-", 206, "456789", "bytes 4-9/10"],
    ["bytes=-3", 206, "789", "bytes 7-9/10"],
    ["bytes=-99", 206, "0123456789", "bytes 0-9/10"],
    ["bytes=8-99", 206, "89", "bytes 8-9/10"],
    ["bytes=5-2", 200, "0123456789", undefined],
    ["bytes=0-1,4-5", 200, "0123456789", undefined],
  ])("answers the range %s with %d", async (Range, status, text, contentRange) => {
    await s3.send(new PutObjectCommand({ Bucket: "sdk", Key: "range", Body: "0123456789" }));
    const got = await s3.send(new GetObjectCommand({ Bucket: "sdk", Key: "range", Range }));
    expect(got.$metadata.httpStatusCode).toBe(status);
    expect(await got.Body?.transformToString()).toBe(text);
    expect(got.ContentRange).toBe(contentRange);
  });

  it.each(["bytes=10-", "bytes=-0", "bytes=11-12"])("refuses the range %s", async (Range) => {
    await s3.send(new PutObjectCommand({ Bucket: "sdk", Key: "range", Body: "0123456789" }));
    const get = s3.send(new GetObjectCommand({ Bucket: "sdk", Key: "range", Range }));
    expect(await refusalOf(get)).toBe("InvalidRange 416");
  });

  it("answers conditions with 412 and 304", async () => {
    const object = { Bucket: "sdk", Key: "condition" };
    const { ETag = "" } = await s3.send(new PutObjectCommand({ ...object, Body: "one" }));
    const get = (condition: object) => s3.send(new GetObjectCommand({ ...object, ...condition }));
    expect(await refusalOf(get({ IfMatch: ETag }))).toBe("no refusal");
    expect(await refusalOf(get({ IfMatch: '"other"' }))).toBe("PreconditionFailed 412");
    expect(await refusalOf(get({ IfNoneMatch: ETag }))).toMatch(/304$/);
    expect(await refusalOf(get({ IfNoneMatch: '"other"' }))).toBe("no refusal");
    expect(await refusalOf(get({ IfModifiedSince: new Date(Date.now() + 5_000) }))).toMatch(/304$/);
    expect(await refusalOf(get({ IfUnmodifiedSince: new Date(0) }))).toBe("PreconditionFailed 412");
    const again = new PutObjectCommand({ ...object, Body: "two", IfNoneMatch: "*" });
    expect(await refusalOf(s3.send(again))).toBe("PreconditionFailed 412");
    const onto = new PutObjectCommand({ ...object, Body: "two", IfMatch: ETag });
    expect(await refusalOf(s3.send(onto))).toBe("no refusal");
    expect(await refusalOf(get({ IfMatch: ETag }))).toBe("PreconditionFailed 412");
    expect(await refusalOf(get({ VersionId: "null" }))).toBe("no refusal");
    expect(await refusalOf(get({ VersionId: "v2" }))).toBe("NoSuchVersion 404");
  });

  it("names what is missing or not allowed as a name", async () => {
    const get = (Bucket: string, Key = "x") =>
      refusalOf(s3.send(new GetObjectCommand({ Bucket, Key })));
    expect(await get("no-such-bucket")).toBe("NoSuchBucket 404");
    expect(await get("sdk", "no-such-key")).toBe("NoSuchKey 404");
    expect(await get("Bad_Name")).toBe("InvalidBucketName 400");
    const long = new PutObjectCommand({ Bucket: "sdk", Key: "k".repeat(1_025), Body: "x" });
    expect(await refusalOf(s3.send(long))).toBe("KeyTooLongError 400");
    const digest = new PutObjectCommand({
      Bucket: "sdk",
      Key: "x",
      Body: "x",
      ChecksumCRC32: "AAAAAA==",
    });
    expect(await refusalOf(s3.send(digest))).toBe("BadDigest 400");
    const acl = new GetObjectAclCommand({ Bucket: "sdk", Key: "plain.csv" });
    expect(await refusalOf(s3.send(acl))).toBe("NotImplemented 501");
  });

  it("copies an object, between buckets too, with its own headers or with new ones", async () => {
    await local.createBucket("copies");
    const source = {
      Bucket: "sdk",
      Key: "copy me+%.csv",
      ContentType: "text/csv",
      Metadata: { a: "1" },
    };
    await s3.send(new PutObjectCommand({ ...source, Body: "copied" }));
    const CopySource = `sdk/${encodeURIComponent(source.Key)}`;
    await s3.send(new CopyObjectCommand({ Bucket: "copies", Key: "same", CopySource }));
    const changed = { ContentType: "text/plain", MetadataDirective: "REPLACE" as const };
    await s3.send(new CopyObjectCommand({ ...source, Key: "changed", ...changed, CopySource }));
    await s3.send(new DeleteObjectCommand(source));
    const same = await s3.send(new GetObjectCommand({ Bucket: "copies", Key: "same" }));
    expect(await same.Body?.transformToString()).toBe("copied");
    expect([same.ContentType, same.Metadata]).toEqual(["text/csv", { a: "1" }]);
    const other = await s3.send(new HeadObjectCommand({ Bucket: "sdk", Key: "changed" }));
    expect(other.ContentType).toBe("text/plain");
  });

  it("deletes a thousand keys in one request, special characters included", async () => {
    await local.createBucket("deletes");
    const keys = Array.from({ length: 1_000 }, (_, n) => `a&b<c>"d'\r\n\t ${n}`);
    const objects = keys.slice(0, 20);
    for (const Key of objects) {
      await s3.send(new PutObjectCommand({ Bucket: "deletes", Key, Body: "x" }));
    }
    const deleted = await s3.send(
      new DeleteObjectsCommand({
        Bucket: "deletes",
        Delete: { Objects: keys.map((Key) => ({ Key })) },
      }),
    );
    expect(deleted.Deleted?.length).toBe(1_000);
    const left = await s3.send(new ListObjectsV2Command({ Bucket: "deletes" }));
    expect(left.KeyCount).toBe(0);
    await s3.send(new DeleteBucketCommand({ Bucket: "deletes" }));
    const head = new HeadBucketCommand({ Bucket: "deletes" });
    expect(await refusalOf(s3.send(head))).toMatch(/404$/);
  });

  it("creates, lists and locates buckets", async () => {
    await s3.send(
      new CreateBucketCommand({
        Bucket: "made-in-europe",
        CreateBucketConfiguration: { LocationConstraint: "eu-west-1" },
      }),
    );
    await s3.send(new CreateBucketCommand({ Bucket: "made-at-home" }));
    const { Buckets } = await s3.send(new ListBucketsCommand());
    expect(Buckets?.map((bucket) => bucket.Name)).toEqual(
      expect.arrayContaining(["made-at-home", "made-in-europe", "sdk"]),
    );
    const home = await s3.send(new GetBucketLocationCommand({ Bucket: "made-at-home" }));
    expect(home.LocationConstraint).toBeUndefined();
    const away = await s3.send(new GetBucketLocationCommand({ Bucket: "made-in-europe" }));
    expect(away.LocationConstraint).toBe("eu-west-1");
    const again = new CreateBucketCommand({ Bucket: "made-at-home" });
    expect(await refusalOf(s3.send(again))).toBe("BucketAlreadyOwnedByYou 409");
  });
});
